"""Which pictures to label next: `python -m training.own.next --help`."""

import csv
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray

from models.manifest import BundleError
from models.names import shown
from models.selection import doubtful, to_label
from training.data.collection import collect
from training.data.dataset import UNLABELLED
from training.data.errors import DataError
from training.data.scan import CACHE, scan
from training.encoders import Encoder, find_encoder
from training.loop import Run, seeded_generator
from training.networks import select_device
from training.own.pictures import Pictures
from training.own.pipeline import Features, Work, features_by, input_of, own_features, soften, tensor_of
from training.own.report import grid, save, show
from training.own.settings import MODELS, OwnSettings
from training.own.unlabelled import write_unlabelled

ENOUGH = 2
"""Labels per class from which on what the model makes of them helps to choose."""
THUMBNAIL = 96
COLUMNS = 10
MOST, SHOWN = 4000, 200
"""Pictures that can be asked for, and that the contact sheet shows."""
DOUBTED = 20
"""Labels to look at again, at most: only the first few are worth it."""


@dataclass(frozen=True)
class NextSettings:
    """Chooses pictures whose labels will teach most, and names labels that the others contradict."""

    data: Path
    """Folder, .zip or .csv, as for a training; it needs no label yet."""
    count: int = 20
    """How many pictures to choose."""
    output: Path = Path("runs/next")
    """Folder that receives next.csv, next.png and doubtful.csv."""
    encoder: str = "auto"
    """As for a training: what was encoded or pretrained is used again."""
    seed: int = 0
    """Seed of all random numbers."""
    cache: Path = CACHE
    """Folder of decoded pictures and features, which can be deleted at any time."""
    name: str | None = None
    """Where no picture has a label yet, the bundle's name: models/<name>/ then embeds and searches."""
    models: Path = MODELS
    """Folder that receives the bundle's."""


def run(settings: NextSettings) -> list[str]:
    """Writes what to label next; returns the names of the files."""
    if not 1 <= settings.count <= MOST:
        raise ValueError(f"--count {settings.count}: between 1 and {MOST:,}")
    work = work_of(settings)
    pictures = work.pictures
    encoder = find_encoder(settings.encoder, settings.cache / "encoders")
    features = features_of(work, encoder)
    labels, names = work.labels, [pictures.names[place] for place in pictures.training]
    counts = np.bincount(labels[labels != UNLABELLED], minlength=work.classes)
    probabilities, doubts = None, np.zeros(0, np.int64)
    if work.classes > 1 and counts.sum() >= ENOUGH * work.classes:
        soft = soften(work, features)
        probabilities, hidden = soft.values, soft.chosen
        assert hidden.probabilities is not None
        doubts = np.flatnonzero(labels != UNLABELLED)[doubtful(hidden.labels, hidden.probabilities)][:DOUBTED]
    chosen = to_label(features.values, labels != UNLABELLED, settings.count, probabilities, settings.seed)
    settings.output.mkdir(parents=True, exist_ok=True)
    table = {"path": [names[place] for place in chosen], "label": [""] * len(chosen)}
    if probabilities is not None:
        table["guess"] = [pictures.class_names[row] for row in probabilities[chosen].argmax(axis=1)]
    write_table(settings.output / "next.csv", table)
    doubted = [pictures.class_names[labels[place]] for place in doubts]
    write_table(settings.output / "doubtful.csv", {"path": [names[place] for place in doubts], "label": doubted})
    contact_sheet(settings.output / "next.png", work, chosen, features.resize)
    if settings.name is not None and not counts.sum():
        manifest = write_unlabelled(settings.name, work, encoder, features)
        print(f"{manifest.model} embeds and searches: make serve NAME={settings.name}", file=sys.stderr)
    tell(settings, len(chosen), len(doubts), counts)
    return table["path"]


def work_of(settings: NextSettings) -> Work:
    """The pictures, labelled or not; raises DataError where there is none."""
    own = OwnSettings(
        settings.data,
        settings.name or "next",
        settings.encoder,
        seed=settings.seed,
        cache=settings.cache,
        models=settings.models,
    )
    if settings.name is not None:
        own.check()
    collection = collect(settings.data, labels_needed=False)
    pictures = Pictures(collection, scan(collection, own.cache), own.cache)
    if not len(pictures.training):
        raise DataError(f"{shown(str(settings.data))}: none of its pictures can be read")
    return Work(pictures, own, Run(seeded_generator(own.seed, select_device())))


def features_of(work: Work, encoder: Encoder | None) -> Features:
    """By the encoder, or by a network that learns from the pictures alone."""
    if encoder:
        return features_by(encoder, work)
    spec = input_of(work, "crop" if work.settings.resize == "auto" else work.settings.resize)
    images = tensor_of(work.pictures.seen(spec)[work.pictures.training]).to(work.run.device)
    return own_features(images, work, spec.kind)[0]


def write_table(path: Path, columns: dict[str, list[str]]) -> None:
    """A CSV file of columns, all as long."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns.keys(), *zip(*columns.values(), strict=True)])


def contact_sheet(path: Path, work: Work, chosen: NDArray[np.int64], resize: str) -> None:
    """The first chosen pictures in order, with their names."""
    places = work.pictures.training[chosen][:SHOWN]
    spec = replace(input_of(work, resize), height=THUMBNAIL, width=THUMBNAIL, channels=3)
    figure, axes = grid(max(1, -(-len(places) // COLUMNS)), COLUMNS, height=1.5)
    order = np.argsort(places, kind="stable")
    for batch, pixels in work.pictures.batches(spec, 32, places[order].tolist()):
        for place, image in zip(batch, pixels, strict=True):
            position = int(np.flatnonzero(places == place)[0])
            axis = axes.flat[position]
            show(axis, image)
            axis.set_title(f"{position + 1}. {shown(work.pictures.names[place])[-22:]}", fontsize=5)
    save(figure, path)


def tell(settings: NextSettings, chosen: int, doubts: int, counts: NDArray[np.int64]) -> None:
    """Says what was written and what to do with it."""
    folder = settings.output
    print(f"{chosen} pictures to label: {folder}/next.csv, to look at in {folder}/next.png", file=sys.stderr)
    print("write their classes into the column label, and move the lines to labels.csv in your folder", file=sys.stderr)
    if doubts:
        print(f"{doubts} labels that the others contradict: {folder}/doubtful.csv", file=sys.stderr)
    if not counts.sum():
        print(
            "classes of few pictures can be missed in the first round: ask again once these have labels",
            file=sys.stderr,
        )


def main() -> int:
    """Returns the exit code: 0, or 1 after one message that says what to do."""
    settings = tyro.cli(NextSettings, prog="python -m training.own.next")
    try:
        run(settings)
    except (DataError, BundleError, ValueError, FloatingPointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what was decoded and encoded so far is kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
