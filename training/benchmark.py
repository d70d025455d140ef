"""How good the method is over several seeds: `make benchmark-accuracy`.

One JSON file a run under training/results/, written when the run is complete: stopped and started again, only what is
missing runs. The test set is scored once a run, after the last epoch. The table in training/README.md is made of these
files.
"""

import json
import re
import statistics
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import tyro
from scipy.stats import t

from training.config import TrainingSettings
from training.data import Dataset, forget_labels, load_mnist
from training.develop import answers
from training.evaluate import accuracy, expected_calibration_error, negative_log_likelihood, softmax
from training.networks import count_parameters, select_device
from training.pipeline import train
from training.provenance import conditions, open_checkpoint

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
MARKERS = "<!-- benchmark -->", "<!-- /benchmark -->"


def measure(seed: int, everything: Dataset, test: Dataset) -> dict[str, object]:
    """One run of `make train-export`'s settings with another seed."""
    settings, device = replace(TrainingSettings(), seed=seed), select_device()
    data = forget_labels(everything, keep=settings.labels)
    checkpoint = open_checkpoint(data, settings, device)
    started = time.perf_counter()
    classifier, _ = train(data.to(device), settings, checkpoint)
    seconds = time.perf_counter() - started
    labels = test.labels.numpy()
    probabilities = softmax(answers(classifier, test.images.to(device)))
    checkpoint.clear()
    return {
        "seed": seed,
        "labels": settings.labels,
        "parameters": count_parameters(classifier),
        "test_accuracy": asdict(accuracy(probabilities.argmax(axis=1), labels)),
        "ece_15": expected_calibration_error(probabilities, labels),
        "nll": negative_log_likelihood(probabilities, labels),
        "seconds": round(seconds, 1),
        **conditions(device),
    }


def table(runs: list[dict[str, Any]]) -> str:
    """Mean, standard deviation, 95 % interval of the mean (Student's t), worst and n of the runs, in Markdown."""
    rows = [
        ("test accuracy", [100 * run["test_accuracy"]["value"] for run in runs], "{:.2f} %", min),
        ("expected calibration error, 15 bins", [100 * run["ece_15"] for run in runs], "{:.2f} %", max),
        ("negative log-likelihood", [run["nll"] for run in runs], "{:.4f}", max),
    ]
    lines = ["| figure | mean | standard deviation | 95 % interval of the mean | worst | n |", "|---" * 6 + "|"]
    for name, values, form, worst in rows:
        mean, spread = statistics.mean(values), statistics.stdev(values)
        reach = float(t.ppf(0.975, len(values) - 1)) * spread / len(values) ** 0.5
        cells = [form.format(value) for value in (mean, spread, mean - reach, mean + reach, worst(values))]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {cells[2]} to {cells[3]} | {cells[4]} | {len(values)} |")
    return "\n".join(lines)


def finished() -> list[dict[str, Any]]:
    """What the files say, by seed."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("seed-*.json"))]


def write_table() -> None:
    """Renews the table in training/README.md from the files."""
    text = README.read_text()
    begin, end = MARKERS
    README.write_text(re.sub(f"{begin}.*{end}", f"{begin}\n\n{table(finished())}\n\n{end}", text, flags=re.DOTALL))


def main(seeds: int = 5) -> None:
    """Runs what is missing and renews the table.

    Args:
        seeds: how many runs there shall be, with seeds from 0 on; at least 2.
    """
    everything, test = load_mnist(Path("data"))
    RESULTS.mkdir(exist_ok=True)
    for seed in range(seeds):
        path = RESULTS / f"seed-{seed}.json"
        if not path.exists():
            print(f"seed {seed} of {seeds}", file=sys.stderr)
            path.write_text(json.dumps(measure(seed, everything, test), indent=2) + "\n")
    write_table()
    print(f"the table is in {README}", file=sys.stderr)


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.benchmark")
