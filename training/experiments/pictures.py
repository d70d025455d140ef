"""How good training on one's own pictures is: `make trials DATA=photos/`, or `python -m training.experiments.pictures`.

Takes pictures whose labels are all known, gives a training few of them, and does so for several draws. Each training is
a process of its own, so that its memory is its own too; what it reads is below runs/trials/. The test split is scored
by the exported file. Beside it stand the encoder with a linear head, and scikit-learn's logistic regression on the
encoder's features of the same labels. Started again after a stop, it runs only what is missing.
"""

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from models.manifest import BundleError, InputSpec, Manifest
from models.names import counted
from models.pictures.preparation import RESIZES
from training.check.copies import THUMBNAIL
from training.data.collection import collect
from training.data.errors import DataError
from training.data.scan import scan
from training.encoders import Encoder, find_encoder
from training.experiments.processes import conditions, trained
from training.experiments.scores import Foreign, foreign, foreign_folder, novelty_scores, regression
from training.experiments.trial_settings import TrialSettings
from training.experiments.trial_table import table
from training.experiments.trials import Division, divide, drawn_labels, link_pictures, write_trial
from training.own.features import encoded
from training.own.pictures import Pictures
from training.soft_labels import Predicted


@dataclass(frozen=True)
class Bench:
    """What all trials share."""

    settings: TrialSettings
    division: Division
    names: dict[int, str]
    """Of the links, by place in the collection."""
    encoder: Encoder | None
    foreign: Sequence[Foreign]


@dataclass(frozen=True)
class Trial:
    """One training."""

    bench: Bench
    labels: int
    """Of each class."""
    draw: int

    @property
    def name(self) -> str:
        """Of its files and its bundle."""
        return f"{self.bench.settings.title}-{self.labels}-{self.draw}"

    @property
    def key(self) -> str:
        """Another one where data or options of the training are others; the code does not count."""
        settings, division = self.bench.settings, self.bench.division
        given = drawn_labels(division, self.labels, self.draw)
        parts = (
            *map(division.digests, (division.training, division.test, given)),
            self.bench.encoder.digest if self.bench.encoder else None,
            (settings.serve, settings.size, settings.threads, settings.options),
            [(one.name, one.digests) for one in self.bench.foreign],
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def run(settings: TrialSettings) -> list[dict[str, Any]]:
    """Runs what is missing; returns the figures of all trials and keeps them."""
    settings.check()
    bench = prepared(settings)
    trials = [Trial(bench, labels, draw) for labels in sorted(set(settings.labels)) for draw in range(settings.draws)]
    rows, warm = [], False
    for number, trial in enumerate(trials, 1):
        path, key = settings.place / f"{trial.labels}-{trial.draw}.json", trial.key
        row = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if settings.again or row.get("key") != key:
            say(f"trial {number} of {len(trials)}: {trial.labels} labels a class, draw {trial.draw}")
            row = {"key": key, **measured(trial, warm)}
            keep(path, row)
            warm = True
        rows.append(row)
        keep(settings.results / f"{settings.title}.json", {"name": settings.title, "n": len(rows), "trials": rows})
    return rows


def keep(path: Path, figures: dict[str, Any]) -> None:
    """Writes a JSON file, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def prepared(settings: TrialSettings) -> Bench:
    """Divides the collection and links its pictures; raises DataError."""
    if settings.data.is_dir() and settings.place.resolve().is_relative_to(settings.data.resolve()):
        raise DataError(f"{settings.place}: lies in the folder of pictures, where nothing is written")
    collection = collect(settings.data)
    pictures = Pictures(collection, scan(collection, settings.cache, [THUMBNAIL]), settings.cache)
    seed = settings.split_seed
    division = divide(pictures, settings.held_out, seed, most=settings.images, leave_out=settings.leave_out)
    others = [foreign_folder(folder, settings.cache, seed) for folder in settings.others]
    if settings.leave_out is not None:
        others.insert(0, foreign(f"the class {settings.leave_out}, left out", pictures, division.left_out, seed))
    say(
        f"{settings.title}: {counted(len(division.training), 'picture')} to train on, {len(division.test):,} to test "
        f"with, of which {division.copies:,} have the same pixels as one to train on; {division.unused:,} are not used"
    )
    encoder = find_encoder(settings.encoder, settings.cache / "encoders")
    return Bench(settings, division, link_pictures(division, settings.place / "pictures"), encoder, others)


def measured(trial: Trial, warm: bool) -> dict[str, Any]:
    """Trains once and scores; `warm` says that the cache holds what trainings of these pictures decode and encode."""
    bench, settings = trial.bench, trial.bench.settings
    data = settings.place / "pictures" / f"{trial.labels}-{trial.draw}.csv"
    write_trial(data, bench.division, bench.names, drawn_labels(bench.division, trial.labels, trial.draw))
    collection = collect(data)
    pictures = Pictures(collection, scan(collection, settings.cache, [THUMBNAIL]), settings.cache)
    if not warm:
        fill_cache(pictures, bench.encoder, settings)
    own = settings.own(data, trial.name)
    summary = trained(own, settings.options, settings.threads, settings.place / f"{trial.name}.log")
    manifest = Manifest.load(own.output)
    metrics = {name: metric.value for name, metric in manifest.metrics.items()}
    costs = [*summary["costs_ms"], None]
    linear = regression(pictures, bench.encoder, manifest.input.kind) if bench.encoder else None
    return {
        "labels": trial.labels,
        "draw": trial.draw,
        "classes": len(manifest.class_names),
        "given": summary["labels"],
        "training": len(pictures.training),
        "test": len(pictures.test),
        "copies": bench.division.copies,
        "serve": settings.serve,
        "encoder": manifest.knowledge,
        "options": settings.options,
        "input": asdict(manifest.input),
        "served": {"accuracy": metrics["test_accuracy"], "balanced": metrics["test_balanced_accuracy"]},
        "head": _head(metrics),
        "regression": _accuracies(linear) if linear else None,
        "seconds": summary["total_seconds"],
        "peak_memory_mb": summary["peak_memory_mb"],
        "served_ms": costs[0],
        "encoder_ms": costs[1],
        **novelty_scores(own.output, manifest, pictures, bench.foreign),
        "conditions": conditions(manifest),
    }


def _accuracies(predicted: Predicted) -> dict[str, float]:
    return {"accuracy": predicted.accuracy, "balanced": predicted.balanced_accuracy}


def _head(metrics: dict[str, float]) -> dict[str, float] | None:
    """Of the encoder with a linear head, which a training tests where it serves a student."""
    if "encoder_test_accuracy" not in metrics:
        return None
    return {"accuracy": metrics["encoder_test_accuracy"], "balanced": metrics["encoder_test_balanced_accuracy"]}


def fill_cache(pictures: Pictures, encoder: Encoder | None, settings: TrialSettings) -> None:
    """Decodes and encodes what a training may need, so that the first one takes as long as the others."""
    started, side = time.perf_counter(), settings.size or pictures.side()
    for resize in list(RESIZES)[: 1 if pictures.square() else None]:
        pictures.seen(InputSpec(resize, side, side, pictures.channels()))
        if encoder:
            encoded(pictures, encoder, resize, range(len(pictures)))
    say(f"decoded and encoded, or found in {settings.cache}/, in {time.perf_counter() - started:.0f} s")


def say(line: str) -> None:
    """Writes a line to stderr; stdout is for the table."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Returns the exit code: 0, or 1 after one message that says what to do."""
    settings = tyro.cli(TrialSettings, prog="python -m training.experiments.pictures")
    try:
        rows = run(settings)
    except (DataError, BundleError, ValueError, OSError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; trials that have ended are kept")
        return 130
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
