"""What training made → a bundle: written beside the old one, put through a running service, then moved over."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.manifest import INDEX, MANIFEST, MODEL, BundleError, Manifest, Metric
from training import export
from training.data.dataset import UNLABELLED
from training.evaluate import share
from training.networks import NeighbourNovelty, ServedModel
from training.own.card import write_card
from training.own.made import Made
from training.own.report import draw
from training.own.settings import OwnSettings
from training.own.verification import Asked, ask_service
from training.provenance import conditions

BANK = 1000
"""Images that novelty is measured by, at most."""
REFUSED = 0.01
"""Share of the images beyond the bank that the threshold refuses."""
PARITY_SAMPLE = 500
PROTOCOL = (
    "{scored} The run saw {images:,} images, {labels:,} of them labelled; features and the way to soft labels were "
    "chosen by k-fold on the labels alone ({method}: {folds:.1%} of {labels:,} right, balanced {balanced:.1%}).{doubt}"
)
TESTED = "Accuracy of this file run by onnxruntime on the {n:,} images of the test split, scored once."
FOLDED = (
    "Accuracy of this network on {n:,} labels that it had not seen, one fold; afterwards it went on learning with all "
    "labels."
)


def write(folder: Path, made: Made, settings: OwnSettings, device: torch.device, commit: str | None) -> Manifest:
    """Writes graph, index, pictures, card and, last, manifest into `folder`."""
    bank, others = divided(made.training, settings.seed)
    student = made.trained.student.cpu().eval()
    served = ServedModel(student, NeighbourNovelty(embeddings_of(student, made.images[bank])))
    export.write_onnx(served, folder / MODEL, made.spec.shape)
    export.parity(served, folder / MODEL, made.images[:PARITY_SAMPLE].numpy())
    answers = export.run_onnx(folder / MODEL, made.images.numpy())
    threshold = float(np.quantile(answers.novelty[others], 1 - REFUSED))
    _write_index(folder / INDEX, made, answers, settings)
    described = export.Described(
        name=settings.name,
        git_commit=commit,
        protocol=protocol(made, answers),
        knowledge=made.features.knowledge,
        input=made.spec,
        network=export.described_network(served, settings.widths),
        class_names=made.pictures.class_names,
        novelty_threshold=threshold,
        metrics=metrics_of(made, answers, threshold),
        training={**_plain(settings), **conditions(device)},
    )
    draw(folder / "report", made, answers, settings)
    manifest = export.write_manifest(folder, described)
    write_card(folder, manifest, made, made.cases(answers))
    return manifest


def divided(training: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Images for the bank of novelty, and those that its threshold is measured on."""
    order = np.random.default_rng(seed).permutation(training)
    size = min(BANK, max(5, len(order) * 4 // 5))
    return order[:size], order[size:] if len(order) > size else order


@torch.no_grad()
def embeddings_of(student: Any, images: Tensor) -> Tensor:
    """(n, dim) unit vectors."""
    parts = [student.backbone.features(student.backbone.maps(batch)) for batch in torch.split(images, 500)]
    return torch.nn.functional.normalize(torch.cat(parts), dim=1, eps=1e-6)


def metrics_of(made: Made, answers: export.Answers, threshold: float) -> dict[str, Metric]:
    """Figures with intervals; balanced accuracy has none of its own, its cases being as many as accuracy's."""
    cases = made.cases(answers)
    name = "fold" if made.trained.fold else "test"
    metrics = {f"{name}_accuracy": share(cases.labels == cases.answers)}
    value = cases.balanced_accuracy
    spread = cases.balanced_interval()
    metrics[f"{name}_balanced_accuracy"] = Metric(value, *spread, len(cases.labels))
    if len(made.test):
        metrics["test_refused"] = share(answers.novelty[made.test] > threshold)
    return metrics


def protocol(made: Made, answers: export.Answers) -> str:
    """How the figures were measured."""
    cases, hidden = made.cases(answers), made.trained.scores[made.trained.method]
    scored = (FOLDED if made.trained.fold else TESTED).format(n=len(cases.labels))
    return PROTOCOL.format(
        scored=scored,
        images=len(made.training),
        labels=len(hidden.labels),
        method=made.trained.method,
        folds=hidden.accuracy,
        balanced=hidden.balanced_accuracy,
        doubt="" if len(cases.labels) >= 100 else " So few cases tell little: see the intervals.",
    )


def _write_index(path: Path, made: Made, answers: export.Answers, settings: OwnSettings) -> None:
    """Labelled images first, then others drawn at random."""
    labels, names = made.pictures.labels, made.pictures.names
    order = np.random.default_rng(settings.seed).permutation(made.training)
    known = labels[order] != UNLABELLED
    chosen = np.sort(np.concatenate([order[known], order[~known]])[: settings.index_size])
    given = labels[chosen] != UNLABELLED
    indices = np.where(given, labels[chosen], answers.predicted[chosen])
    pixels = made.images[torch.from_numpy(chosen)].permute(0, 2, 3, 1).numpy()
    thumbnails = pixels[..., 0] if made.spec.channels == 1 else pixels
    ids = [names[place] for place in chosen]
    export.write_index(path, ids, thumbnails, answers.embedding[chosen], export.Known(indices, given))


def verify(folder: Path, made: Made) -> None:
    """Puts every labelled file through a running service; raises BundleError where it answers anything else."""
    labelled = np.flatnonzero(made.pictures.labels != UNLABELLED)
    answers = export.run_onnx(folder / MODEL, made.images[torch.from_numpy(labelled)].numpy())
    pixels = made.images[torch.from_numpy(labelled)].permute(0, 2, 3, 1).numpy()
    asked = [
        Asked(
            made.pictures.names[place],
            seen,
            made.pictures.class_names[answers.predicted[row]],
            answers.probabilities[row],
        )
        for row, (place, seen) in enumerate(zip(labelled, pixels, strict=True))
    ]
    wrong = ask_service(folder, made.pictures.collection, asked)
    if wrong:
        raise BundleError(
            f"the service answers otherwise than training for {len(wrong)} of {len(asked)} files: {wrong[0]}"
        )


def move(made: Path, output: Path) -> None:
    """Replaces the bundle in `output`, manifest last: at no moment is there a mixture that would be served."""
    output.mkdir(parents=True, exist_ok=True)
    export.retract_manifest(output)
    shutil.rmtree(output / "report", ignore_errors=True)
    for path in sorted(made.iterdir(), key=lambda path: path.name == MANIFEST):
        path.replace(output / path.name)


def _plain(settings: OwnSettings) -> dict[str, Any]:
    """The settings without this machine's paths, as the manifest publishes them."""
    fields = asdict(settings)
    for name in ("data", "cache", "models"):
        del fields[name]
    return fields
