"""A person's pictures → a bundle, on one screen: `python -m training.own --help`."""

import json
import resource
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tyro

from models.manifest import BundleError
from training.check.__main__ import tell
from training.check.checks import check
from training.check.copies import THUMBNAIL
from training.check.page import write as write_page
from training.data.collection import collect
from training.data.dataset import UNLABELLED
from training.data.errors import DataError
from training.data.scan import scan
from training.encoders import find_encoder
from training.loop import Run, seeded_generator
from training.monitor import Monitor
from training.networks import select_device
from training.own import bundle, estimate, pipeline, tables
from training.own.made import Made
from training.own.pictures import Pictures
from training.own.settings import OwnSettings
from training.provenance import git_commit

CHECKS = Path("runs/check")


def run(settings: OwnSettings) -> dict[str, object]:
    """Folder → bundle; returns the summary that `main` prints."""
    settings.check()
    started, commit, device = time.perf_counter(), git_commit(), select_device()
    pictures = checked(settings)
    training = np.flatnonzero(~pictures.held_out)
    test = np.flatnonzero(pictures.held_out & (pictures.labels != UNLABELLED))
    labels, classes = pictures.labels[training], len(pictures.class_names)
    encoder = find_encoder(settings.encoder, settings.cache / "encoders")
    estimate.tell(pictures, len(training), encoder, settings)
    loop = Run(seeded_generator(settings.seed, device), monitor=Monitor())
    history = {}
    if encoder:
        features = pipeline.features_by(encoder, pictures, training, settings)
        spec = pipeline.input_of(pictures, settings, features.resize)
        images = pipeline.tensor_of(pictures.seen(spec))
    else:
        spec = pipeline.input_of(pictures, settings, "crop" if settings.resize == "auto" else settings.resize)
        images = pipeline.tensor_of(pictures.seen(spec))
        features, history["pretrain"] = pipeline.own_features(images[training].to(device), settings, loop, spec.kind)
    trained = pipeline.train(images[training].to(device), labels, classes, features, settings, loop, len(test) > 0)
    history |= trained.history
    settings.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{settings.name}.", dir=settings.models) as folder:
        made = Made(pictures, training, test, spec, images, features, trained, history)
        manifest = bundle.write(Path(folder), made, settings, device, commit)
        bundle.verify(Path(folder), made)
        bundle.move(Path(folder), settings.output)
    tables.tell(made, manifest)
    say(f"{manifest.model} is in {settings.output}/; serve it with `make serve NAME={settings.name}`")
    return {
        "model": manifest.model,
        **{name: asdict(metric) for name, metric in manifest.metrics.items()},
        "labels": int((labels != UNLABELLED).sum()),
        "images": len(training),
        "total_seconds": round(time.perf_counter() - started, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def checked(settings: OwnSettings) -> Pictures:
    """The usable pictures, after telling what is wrong with others; raises DataError where no training is possible."""
    collection = collect(settings.data)
    infos = scan(collection, settings.cache, [THUMBNAIL])
    pictures = Pictures(collection, infos, settings.cache)
    report = check(collection, infos, pictures.seen(THUMBNAIL), settings.cache)
    tell(report, write_page(report, CHECKS / settings.name))
    if report.impossible or len(pictures.class_names) < 2:
        raise DataError("no training is possible, as said above")
    if settings.frequencies and len(settings.frequencies) != len(pictures.class_names):
        count, names = len(settings.frequencies), ", ".join(pictures.class_names)
        raise DataError(f"--frequencies: {count} numbers for {len(pictures.class_names)} classes, {names}")
    return pictures


def say(line: str) -> None:
    """Writes a line to stderr; stdout is for the summary alone."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Returns the exit code: 0, or 1 after one message that says what to do."""
    settings = tyro.cli(OwnSettings, prog="python -m training.own").resolved()
    try:
        summary = run(settings)
    except (DataError, BundleError, ValueError, FloatingPointError, OSError) as error:
        say(f"error: {error}")
        return 1
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
