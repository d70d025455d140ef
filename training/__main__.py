"""The whole pipeline on one screen: `python -m training --help`."""

import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import tyro
from scipy.special import softmax
from sklearn.metrics import log_loss

from models.manifest import INDEX, MODEL, BundleError, Metric
from training import card, export, report
from training.data.dataset import DataError, Dataset, forget_labels
from training.data.mnist import load as load_data
from training.evaluate import accuracy, expected_calibration_error, share
from training.monitor import Monitor
from training.networks import ServedModel, select_device
from training.pipeline import train
from training.provenance import EVENTS, conditions, git_commit, open_checkpoint, plain
from training.settings import TrainingSettings
from training.stages.novelty import fit_novelty

PROTOCOL = (
    "Accuracy of this file run by onnxruntime on {score.n:,} {data.name} test images, scored once after the last "
    "epoch. The run saw {images:,} training images, the labels of the first {labels} of them, and nothing of the test "
    "set; its settings were chosen on the labels of training images 50,000 to 59,999."
)


def run(settings: TrainingSettings) -> dict[str, object]:
    """Data → bundle; returns the summary that `main` prints."""
    data, test = load(settings)
    device, folder = select_device(), settings.output
    folder.mkdir(parents=True, exist_ok=True)  # fails now rather than after the training
    say(f"{len(data):,} images, {settings.labels} of them labelled; training on {device} with seed {settings.seed}")
    started, commit = time.perf_counter(), git_commit()  # now: writing the bundle changes tracked files
    checkpoint = open_checkpoint(data, settings, device)
    say(f"to watch it: tensorboard --logdir {EVENTS}")
    classifier, history = train(data.to(device), settings, checkpoint, Monitor(EVENTS / checkpoint.folder.name))
    head, threshold = fit_novelty(classifier.cpu(), data.images, settings.novelty, settings.seed)
    served, trained = ServedModel(classifier, head), time.perf_counter()

    difference = write_model(served, data, settings)
    answers = export.run_onnx(folder / MODEL, test.images.numpy())
    report.draw(folder / "report", settings.pretrain.views, data, history, test, answers)
    score, refused = accuracy(answers.predicted, test.labels.numpy()), share(answers.novelty > threshold)
    metrics, calibration = {"test_accuracy": score, "test_refused": refused}, calibration_of(answers, test)
    described = describe(settings, data, served, metrics, threshold, device, commit)
    manifest = export.write_manifest(folder, described)
    card.write(folder, manifest, calibration["ece_15"], calibration["nll"])
    checkpoint.clear()
    say(f"test accuracy {score.value:.2%} (95 % interval {score.low:.2%} to {score.high:.2%}, n = {score.n:,})")
    say(f"{manifest.model} is in {folder}/; look at {folder}/report/, serve it with `make serve`")
    return {
        "model": manifest.model,
        "test_accuracy": asdict(score),
        "test_refused": refused.value,
        **calibration,
        "labels": settings.labels,
        "seed": settings.seed,
        "parameters": manifest.network["parameters"],
        "parity": difference,
        "last_loss": {stage: round(float(np.mean(steps.loss[-25:])), 4) for stage, steps in history.items()},
        **conditions(device),
        "training_seconds": round(trained - started, 1),
        "total_seconds": round(time.perf_counter() - started, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def load(settings: TrainingSettings) -> tuple[Dataset, Dataset]:
    """The training images with the labels that are kept, and the test images. Raises DataError and ValueError."""
    full, test = load_data(settings.data)
    settings.check(len(full))
    return forget_labels(full.subset(torch.arange(settings.images or len(full))), keep=settings.labels), test


def write_model(served: ServedModel, data: Dataset, settings: TrainingSettings) -> float:
    """Writes graph and similarity index; returns the largest difference between torch and onnxruntime."""
    folder = settings.output
    export.retract_manifest(folder)
    export.write_onnx(served, folder / MODEL, data.image_shape)
    indexed = data.subset(torch.arange(min(settings.index_size, len(data))))
    difference = export.parity(served, folder / MODEL, indexed.images[:1000].numpy())
    say(f"largest difference between torch and onnxruntime: {difference:.1e} (limit {export.PARITY_TOLERANCE})")
    write_index(folder / INDEX, indexed, export.run_onnx(folder / MODEL, indexed.images.numpy()))
    return difference


def describe(
    settings: TrainingSettings,
    data: Dataset,
    served: ServedModel,
    metrics: dict[str, Metric],
    threshold: float,
    device: torch.device,
    commit: str | None,
) -> export.Described:
    """What the manifest says; `device` is where the weights were trained, `commit` the code's as it was then."""
    score = metrics["test_accuracy"]
    return export.Described(
        name=settings.name,
        git_commit=commit,
        protocol=PROTOCOL.format(score=score, data=data, images=len(data), labels=settings.labels),
        knowledge="none",
        input=data.input,
        network=export.described_network(served, settings.widths),
        class_names=data.class_names,
        novelty_threshold=threshold,
        metrics=metrics,
        training={**plain(settings), **conditions(device)},
    )


def write_index(path: Path, data: Dataset, answers: export.Answers) -> None:
    """Writes the similarity index of training images."""
    given = data.is_labelled.numpy()
    known = export.Known(np.where(given, data.labels.numpy(), answers.predicted), given)
    ids = [f"train-{number}" for number in range(len(data))]
    export.write_index(path, ids, data.images[:, 0].numpy(), answers.embedding, known)


def calibration_of(answers: export.Answers, test: Dataset) -> dict[str, float]:
    """Calibration error over 15 bins and negative log-likelihood of the test labels, from the logits in float64."""
    probabilities, labels = softmax(answers.logits.astype(np.float64), axis=1), test.labels.numpy()
    return {"ece_15": expected_calibration_error(probabilities, labels), "nll": log_loss(labels, probabilities)}


def say(line: str) -> None:
    """Writes a line to stderr; stdout is for the summary alone."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Returns the exit code: 0, or 1 after one message that says what to do."""
    settings = tyro.cli(TrainingSettings, prog="python -m training")
    try:
        summary = run(settings)
    except (DataError, BundleError, ValueError, FloatingPointError, OSError) as error:
        say(f"error: {error}")
        return 1
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
