"""The whole pipeline on one screen: `python -m training --help`."""

import json
import resource
import sys
import time
from dataclasses import asdict

import numpy as np
import torch
import tyro
from scipy.special import softmax
from sklearn.metrics import log_loss

from models.manifest import INDEX, MODEL, BundleError
from training import card, export, report
from training.data.dataset import DataError, forget_labels
from training.data.mnist import load_mnist
from training.evaluate import accuracy, confusion_matrix, expected_calibration_error, share
from training.monitor import Monitor
from training.networks import ServedModel, count_parameters, select_device
from training.pipeline import train
from training.provenance import EVENTS, conditions, git_commit, open_checkpoint
from training.settings import TrainingSettings
from training.stages.novelty import fit_novelty


def run(settings: TrainingSettings) -> dict[str, object]:
    """Data → bundle; returns the summary that `main` prints."""
    everything, test = load_mnist(settings.data)
    settings.check(len(everything))
    data = forget_labels(everything.subset(torch.arange(settings.images or len(everything))), keep=settings.labels)
    device, folder = select_device(), settings.output
    folder.mkdir(parents=True, exist_ok=True)  # now, rather than fail after the training
    say(f"{len(data):,} images, {settings.labels} of them labelled; training on {device} with seed {settings.seed}")
    started, commit = time.perf_counter(), git_commit()  # now: writing the bundle changes tracked files
    checkpoint = open_checkpoint(data, settings, device)
    say(f"to watch it: tensorboard --logdir {EVENTS}")
    monitor = Monitor(EVENTS / checkpoint.name)
    classifier, history = train(data.to(device), settings, checkpoint, monitor)
    head, threshold = fit_novelty(classifier.cpu(), data.images, settings.novelty, settings.seed)
    served = ServedModel(classifier, head)
    trained = time.perf_counter()

    export.retract_manifest(folder)
    export.write_onnx(served, folder / MODEL, data.image_shape)
    indexed = data.subset(torch.arange(min(settings.index_size, len(data))))
    difference = export.parity(served, folder / MODEL, indexed.images[:1000].numpy())
    say(f"largest difference between torch and onnxruntime: {difference:.1e} (limit {export.PARITY_TOLERANCE})")
    export.write_index(folder / INDEX, indexed, export.run_onnx(folder / MODEL, indexed.images.numpy()))

    answers, labels = export.run_onnx(folder / MODEL, test.images.numpy()), test.labels.numpy()
    score, refused = accuracy(answers.predicted, labels), share(answers.novelty > threshold)
    confusion = confusion_matrix(answers.predicted, labels, len(data.class_names))
    report.view_pairs(folder / "report/views.png", data.images, settings.pretrain.views)
    report.curves(folder / "report/curves.png", history)
    report.confusion(folder / "report/confusion.png", confusion, data.class_names, score)
    report.mistakes(
        folder / "report/mistakes.png", test.images.numpy(), answers.probabilities, labels, data.class_names
    )
    report.embedding_map(folder / "report/embeddings.png", answers.embedding, labels, data.class_names)
    probabilities = softmax(answers.logits.astype(np.float64), axis=1)
    calibration, likelihood = expected_calibration_error(probabilities, labels), log_loss(labels, probabilities)
    metrics = {"test_accuracy": score, "test_refused": refused}
    manifest = export.write_manifest(folder, settings, data, metrics, threshold, device, commit)
    card.write(folder, manifest, count_parameters(served), calibration, likelihood)
    checkpoint.clear()
    say(f"test accuracy {score.value:.2%} (95 % interval {score.low:.2%} to {score.high:.2%}, n = {score.n:,})")
    say(f"{manifest.model} is in {folder}/; look at {folder}/report/, serve it with `make serve`")
    return {
        "model": manifest.model,
        "test_accuracy": asdict(score),
        "test_refused": refused.value,
        "ece_15": calibration,
        "nll": likelihood,
        "labels": settings.labels,
        "seed": settings.seed,
        "parameters": count_parameters(served),
        "parity": difference,
        "last_loss": {stage: round(float(np.mean(seen.loss[-25:])), 4) for stage, seen in history.items()},
        **conditions(device),
        "training_seconds": round(trained - started, 1),
        "total_seconds": round(time.perf_counter() - started, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def say(line: str) -> None:
    """One line for the person who watches; stdout is for the summary alone."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Exit code 0, or 1 after one message that says what to do."""
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
