"""How good the method is: `make benchmark-accuracy`.

Every experiment with several seeds, one JSON file a run under results/, written when the run is complete: started
again after a stop, it runs only what is missing. The test set is scored once a run with the final network, after its
last epoch, and twice with the frozen features after pretraining; no decision depends on that. The table in
training/README.md is made of these files. Pretraining sees no labels, so runs of one seed share it.
"""

import json
import re
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import t
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch.nn import functional as F

from training.data import mnist
from training.data.dataset import Dataset, keep_labels
from training.evaluate import accuracy, expected_calibration_error
from training.experiments.catalogue import EXPERIMENTS, Experiment, find_experiment
from training.experiments.develop import FIRST, linear_probe, outputs
from training.experiments.sharing import SharedCheckpoint, pretraining_folder
from training.loop import Run, seeded_generator
from training.networks import Backbone, Classifier, count_parameters, new_classifier, select_device
from training.pipeline import train
from training.provenance import conditions, open_checkpoint
from training.settings import TrainingSettings
from training.stages.finetune import FinetuneSettings, finetune

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
MARKERS = "<!-- benchmark -->", "<!-- /benchmark -->"
SUPERVISED = FinetuneSettings(epochs=2000, propagated_epochs=2000, batch_size=200, learning_rate=3e-3)
"""Each epoch is one step on all of the 200 labelled images."""


def measure(experiment: Experiment, seed: int, full: Dataset, test: Dataset) -> dict[str, object]:
    """One run."""
    device = select_device()
    kept = experiment.draw(full.labels, seed)
    settings = replace(TrainingSettings(), seed=seed, labels=len(kept), finetune=experiment.finetune)
    data, truth = keep_labels(full, kept), test.labels.numpy()
    on_device, test_images = data.to(device), test.images.to(device)
    scores: dict[str, object] = {}
    if experiment.supervised:
        classifier = supervised(on_device, seed)
    else:
        shared = {"pretrain": pretraining_folder(data, settings, device)}
        checkpoint = SharedCheckpoint(open_checkpoint(data, settings, device).folder, shared)

        def observe(_stage: str, made: torch.nn.Module | Tensor) -> None:
            if not isinstance(made, Backbone) or not experiment.features:
                return
            scores["linear_probe"] = asdict(accuracy(linear_probe(made, on_device.labelled(), test_images), truth))
            scores["knn"] = asdict(accuracy(neighbours(made, full.to(device), test_images), truth))

        classifier, _ = train(on_device, settings, checkpoint, observe=observe, substitute=experiment.substitute)
        checkpoint.clear()
    developed = outputs(classifier, on_device.images[FIRST:]).argmax(axis=1)
    probabilities = softmax(outputs(classifier, test_images).astype(np.float64), axis=1)
    return {
        "experiment": experiment.name,
        "seed": seed,
        "labels": len(kept),
        "parameters": count_parameters(classifier),
        "test_accuracy": asdict(accuracy(probabilities.argmax(axis=1), truth)),
        "development_accuracy": asdict(accuracy(developed, full.labels[FIRST:].numpy())),
        "ece_15": expected_calibration_error(probabilities, truth),
        "nll": float(log_loss(truth, probabilities, labels=range(probabilities.shape[1]))),
        **scores,
        **conditions(device),
    }


def supervised(data: Dataset, seed: int) -> Classifier:
    """The served network, from random weights, on nothing but the labelled images."""
    run, labelled, classes = Run(seeded_generator(seed, data.images.device)), data.labelled(), len(data.class_names)
    classifier = run.place(new_classifier(data.image_shape, TrainingSettings().widths, classes))
    return finetune(classifier, labelled.images, F.one_hot(labelled.labels, classes).float(), SUPERVISED, run)[0]


def neighbours(backbone: Backbone, labelled: Dataset, images: Tensor) -> NDArray[np.int64]:
    """Classes of `images` by their 5 nearest `labelled` ones, by cosine of the last feature maps."""
    maps = backbone.eval().maps
    search = KNeighborsClassifier(5, metric="cosine")
    search.fit(outputs(maps, labelled.images), labelled.labels.cpu().numpy())
    predicted: NDArray[np.int64] = search.predict(outputs(maps, images))
    return predicted


HEADER = "| figure | mean | standard deviation | 95 % interval of the mean | worst | n |", "|---" * 6 + "|"


def row(title: str, values: list[float], form: str, worst: Callable[[list[float]], float]) -> str:
    """Mean, standard deviation, 95 % interval of the mean (Student's t), worst and n, in Markdown."""
    if len(values) < 2:
        return f"| {title} | {form.format(values[0])} | | | | 1 |"
    mean, spread = statistics.mean(values), statistics.stdev(values)
    reach = float(t.ppf(0.975, len(values) - 1)) * spread / len(values) ** 0.5
    cells = [form.format(value) for value in (mean, spread, mean - reach, mean + reach, worst(values))]
    return f"| {title} | {cells[0]} | {cells[1]} | {cells[2]} to {cells[3]} | {cells[4]} | {len(values)} |"


def table(runs: list[dict[str, Any]]) -> str:
    """The experiments' figures in Markdown, of the test set if nothing else is said; none of those without runs."""

    def percent(title: str, values: list[float], worst: Callable[[list[float]], float] = min) -> str:
        return row(title, [100 * value for value in values], "{:.2f} %", worst)

    lines = [*HEADER]
    for experiment in EXPERIMENTS:
        mine = [run for run in runs if run["experiment"] == experiment.name]
        if mine:
            lines.append(percent(experiment.title, [run["test_accuracy"]["value"] for run in mine]))
            developed = [run["development_accuracy"]["value"] for run in mine]
            lines.append(percent("… on the development labels", developed))
        if experiment is EXPERIMENTS[0] and mine:
            probe = [run["linear_probe"]["value"] for run in mine]
            lines += [
                percent("… expected calibration error, 15 bins", [run["ece_15"] for run in mine], max),
                row("… negative log-likelihood", [run["nll"] for run in mine], "{:.4f}", max),
                percent("… pretrained features, linear probe on the labels", probe),
                percent("… pretrained features, 5 nearest of all 60,000", [run["knn"]["value"] for run in mine]),
            ]
    return "\n".join(lines)


def finished() -> list[dict[str, Any]]:
    """What the files say, by experiment and seed."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]


def replace_between(document: Path, markers: tuple[str, str], text: str) -> None:
    """Writes `text` between two lines of `document`."""
    begin, end = markers
    found = re.compile(f"{begin}.*{end}", re.DOTALL)
    document.write_text(found.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", document.read_text()))


def main(only: tuple[str, ...] = (), seeds: tuple[int, ...] = ()) -> None:
    """Runs what is missing and renews the table.

    Args:
        only: names of the experiments to run; all of them when none is given.
        seeds: their seeds; all of them when none is given. Two processes with one thread each (OMP_NUM_THREADS=1) and
            different seeds get more done than one with two threads.
    """
    chosen = [find_experiment(name) for name in only] or list(EXPERIMENTS)
    full, test = mnist.load(Path("data"))
    RESULTS.mkdir(exist_ok=True)
    for experiment in chosen:
        for seed in range(experiment.seeds):
            path = RESULTS / f"{experiment.name}-{seed}.json"
            if path.exists() or (seeds and seed not in seeds):
                continue
            print(f"{experiment.title}, seed {seed} of {experiment.seeds}", file=sys.stderr)
            path.write_text(json.dumps(measure(experiment, seed, full, test), indent=2) + "\n")
            replace_between(README, MARKERS, table(finished()))
    print(f"the table is in {README}", file=sys.stderr)


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.experiments.benchmark")
