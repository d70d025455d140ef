"""The model card of a bundle of a person's own images: what it was trained on, how good it is, what it is not for."""

import re
from pathlib import Path

import numpy as np

from models.manifest import Manifest
from models.names import counted, shown
from training.data.dataset import UNLABELLED
from training.own.made import Made
from training.soft_labels import Predicted

TEMPLATE = Path(__file__).with_name("card.md")
"""The text, as `str.format` takes it."""
NETWORKS = ("served network", "encoder, whose figures are told as `encoder test`")
FEW = 5


def write_card(folder: Path, manifest: Manifest, made: Made) -> None:
    """Writes `folder`/README.md."""
    labels = made.pictures.labels[made.pictures.training]
    counts = np.bincount(labels[labels != UNLABELLED], minlength=len(manifest.class_names))
    rows = [
        f"| {cell(name)} | {count:,} | {_recall(made.cases, number)} |"
        for number, (name, count) in enumerate(zip(manifest.class_names, counts, strict=True))
    ]
    metrics = [
        f"| {name.replace('_', ' ')} | {one.value:.1%} | {one.low:.1%} to {one.high:.1%} | {one.n:,} |"
        for name, one in manifest.metrics.items()
    ]
    few = [name for name, count in zip(manifest.class_names, counts, strict=True) if count < FEW]
    text = TEMPLATE.read_text(encoding="utf-8").format(
        manifest=manifest,
        channels=counted(manifest.input.channels, "channel"),
        images=len(made.pictures.training),
        labels=int(counts.sum()),
        metrics="\n".join(metrics),
        costs="; ".join(f"{cost:.2f} ms for the {name}" for name, cost in zip(NETWORKS, made.costs_ms, strict=False)),
        classes="\n".join(rows),
        few=f"Classes with fewer than {FEW} labels, which it hardly knows: {', '.join(map(cell, few))}." if few else "",
        commit=manifest.git_commit or "unknown",
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def cell(name: str) -> str:
    """A name as text of a Markdown table."""
    return re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", shown(name))


def _recall(cases: Predicted, number: int) -> str:
    chosen = cases.labels == number
    return f"{(cases.answers[chosen] == number).mean():.0%} of {chosen.sum():,}" if chosen.any() else "–"
