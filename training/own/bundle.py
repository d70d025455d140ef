"""What training made → a bundle: written beside the old one, put through a running service, then moved over."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.manifest import INDEX, MANIFEST, BundleError, Manifest, Metric
from training import export
from training.data.dataset import UNLABELLED
from training.evaluate import share
from training.own.calibration import mean_probability
from training.own.card import write_card
from training.own.made import Made
from training.own.report import draw
from training.own.served import divided
from training.own.settings import OwnSettings
from training.own.verification import Asked, ask_service
from training.soft_labels import Predicted

BATCH_SIZE = 32
"""Pictures that are decoded together for the verification."""
REFUSED = 0.01
"""Share of the images beyond the bank that the threshold refuses."""
PROTOCOL = (
    "{scored} The run saw {images:,} images, {labels:,} of them labelled. The way to soft labels was chosen by k-fold "
    "on all these labels ({method}: {folds:.1%} right, balanced {balanced:.1%}).{doubt} {calibrated}"
)
TESTED = "Accuracy of this file run by onnxruntime on the {n:,} images of the test split, scored once."
CALIBRATED = (
    "Logits are divided by {:.2f}: the mean probability of the answers to these images is what k-fold found right."
)
FOLDED = "Accuracy on {n:,} labels that the network had not seen; it has learnt them since."


def write(
    folder: Path, made: Made, settings: OwnSettings, conditions: dict[str, object], commit: str | None
) -> Manifest:
    """Writes index, pictures, card and, last, manifest beside the graph that is in `folder` already."""
    _, others = divided(made.pictures, settings.seed)
    threshold = float(np.quantile(made.served.answers.novelty[others], 1 - REFUSED))
    _write_index(folder / INDEX, made, settings)
    described = export.Described(
        name=settings.name,
        git_commit=commit,
        protocol=protocol(made),
        knowledge=made.candidate.features.knowledge,
        input=made.served.spec,
        network=made.served.network,
        class_names=made.pictures.class_names,
        novelty_threshold=min(max(threshold, 0.0), 1.0),
        metrics=metrics_of(made, threshold),
        training={**plain(settings), **conditions},
    )
    draw(folder / "report", made, settings)
    manifest = export.write_manifest(folder, described)
    write_card(folder, manifest, made)
    return manifest


def metrics_of(made: Made, threshold: float) -> dict[str, Metric]:
    """Figures with intervals, of the test split or of hidden labels."""
    metrics = _accuracies("fold" if made.served.fold else "test", made.cases) if len(made.cases.labels) else {}
    if made.encoder_tested:
        metrics |= _accuracies("encoder_test", made.encoder_tested)
    if len(made.pictures.test):
        metrics["test_mean_probability"] = mean_probability(made.served.answers.probabilities[made.pictures.test])
        metrics["test_refused"] = share(made.served.answers.novelty[made.pictures.test] > threshold)
    return metrics


def _accuracies(name: str, cases: Predicted) -> dict[str, Metric]:
    balanced = Metric(cases.balanced_accuracy, *cases.balanced_interval(), len(cases.labels))
    return {f"{name}_accuracy": share(cases.labels == cases.answers), f"{name}_balanced_accuracy": balanced}


def protocol(made: Made) -> str:
    """How the figures were measured."""
    cases, hidden = made.cases, made.candidate.soft.chosen
    scored = (FOLDED if made.served.fold else TESTED).format(n=len(cases.labels))
    if not len(cases.labels):
        scored = "There are too few labels to say how good it is."
    if made.pictures.left_out:
        scored += f" {made.pictures.left_out:,} of classes without a picture to train on are not among them."
    return PROTOCOL.format(
        scored=scored,
        images=len(made.pictures.training),
        labels=len(hidden.labels),
        method=made.candidate.soft.method,
        folds=hidden.accuracy,
        balanced=hidden.balanced_accuracy,
        calibrated=CALIBRATED.format(made.served.temperature)
        if made.served.temperature
        else "Probabilities are not calibrated: the labels are too few.",
        doubt="" if len(cases.labels) >= 100 else " So few cases tell little: see the intervals.",
    )


def _write_index(path: Path, made: Made, settings: OwnSettings) -> None:
    """Labelled images first, then others drawn at random."""
    labels, names, answers = made.pictures.labels, made.pictures.names, made.served.answers
    order = np.random.default_rng(settings.seed).permutation(made.pictures.training)
    known = labels[order] != UNLABELLED
    chosen = np.sort(np.concatenate([order[known], order[~known]])[: settings.index_size])
    given = labels[chosen] != UNLABELLED
    indices = np.where(given, labels[chosen], answers.predicted[chosen])
    pixels = made.candidate.images[torch.from_numpy(chosen)].permute(0, 2, 3, 1).numpy()
    thumbnails = pixels[..., 0] if pixels.shape[3] == 1 else pixels
    ids = [names[place] for place in chosen]
    export.write_index(path, ids, thumbnails, answers.embedding[chosen], export.Known(indices, given))


def verify(folder: Path, made: Made) -> None:
    """Puts every labelled file through a running service; raises BundleError where it answers anything else."""
    labelled = np.flatnonzero(made.pictures.labels != UNLABELLED)
    wrong = ask_service(folder, made.pictures.collection, _asked(made, labelled), len(labelled))
    if wrong:
        count = f"{len(wrong):,} of {len(labelled):,} files"
        raise BundleError(f"the service answers otherwise than training for {count}, such as {wrong[0]}")


def _asked(made: Made, places: NDArray[np.int64]) -> Iterator[Asked]:
    answers, names, classes = made.served.answers, made.pictures.names, made.pictures.class_names
    for batch, pixels in made.pictures.batches(made.served.spec, BATCH_SIZE, places.tolist()):
        for place, seen in zip(batch, pixels, strict=True):
            yield Asked(names[place], seen, classes[answers.predicted[place]], answers.probabilities[place])


def move(made: Path, output: Path) -> None:
    """Replaces the bundle in `output`, manifest last: at no moment is there a mixture that would be served."""
    output.mkdir(parents=True, exist_ok=True)
    export.retract_manifest(output)
    shutil.rmtree(output / "report", ignore_errors=True)
    for path in sorted(made.iterdir(), key=lambda path: path.name == MANIFEST):
        path.replace(output / path.name)


def plain(settings: OwnSettings) -> dict[str, Any]:
    """The settings without this machine's paths, as the manifest publishes them."""
    fields = asdict(settings)
    for name in ("data", "cache", "models"):
        del fields[name]
    fields["encoder"] = Path(settings.encoder).name
    return fields
