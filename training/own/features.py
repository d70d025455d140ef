"""Features of every picture by a pretrained encoder: computed once, kept in the cache, chosen by the labels alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tqdm import tqdm

from models.pictures.preparation import RESIZES, as_input
from training.data.catalogue import code
from training.data.dataset import UNLABELLED
from training.data.rows import Rows
from training.encoders import Encoder
from training.own.pictures import Pictures
from training.soft_labels import Predicted, SoftLabeller, SoftLabelSettings

BATCH_SIZE = 32
"""Pictures that the encoder is given at once."""
WRITTEN = 1024
"""Features that are held until they are written to the cache."""


@dataclass(frozen=True)
class Chosen:
    """How pictures come to a square, and what the labels said about it."""

    resize: str
    scores: dict[str, Predicted]
    """By each way what a linear classifier takes the labels' images for where their labels are hidden."""


def encoded(pictures: Pictures, encoder: Encoder, resize: str, places: Sequence[int]) -> NDArray[np.float32]:
    """Features (places, dim) of these pictures, in this order; computes what the cache does not hold."""
    digests = [info.digest for info in pictures.good]
    run = encoder.opened()
    dim = run(np.zeros((1, *encoder.input(resize).shape), np.uint8)).shape[1]
    version = onnxruntime.__version__.replace(".", "_")
    kept = Rows(pictures.cache / code() / "features", f"{encoder.digest[:16]}-{resize}-{version}", (dim,), np.float32)
    wanted = np.array(places, np.int64)
    missing = wanted[~kept.known([digests[place] for place in wanted])]
    if len(missing):
        with tqdm(total=len(missing), desc="encoding", unit=" images", unit_scale=True, mininterval=0.5) as bar:
            done: dict[bytes, NDArray[np.float32]] = {}
            try:
                for found, pixels in pictures.batches(encoder.input(resize), BATCH_SIZE, missing.tolist()):
                    done |= zip([digests[place] for place in found], run(as_input(list(pixels))), strict=True)
                    bar.update(len(found))
                    if len(done) >= WRITTEN:
                        kept.add(list(done), np.stack(list(done.values())))
                        done = {}
            finally:  # of a run that is stopped too
                if done:
                    kept.add(list(done), np.stack(list(done.values())))
    return np.asarray(kept.read([digests[place] for place in wanted]), np.float32)


def choose_resize(pictures: Pictures, encoder: Encoder, wanted: str, settings: SoftLabelSettings) -> Chosen:
    """The way to a square with which the labels to train on are foretold best, by k-fold."""
    training = pictures.training
    ways = tuple(RESIZES) if wanted == "auto" else (wanted,)
    labelled = training[pictures.labels[training] != UNLABELLED]
    if len(ways) > 1 and (pictures.square() or len(labelled) <= settings.neighbours):
        ways = ways[:1]
    if len(ways) == 1:
        return Chosen(ways[0], {})
    labels, classes = pictures.labels[labelled], len(pictures.class_names)
    scores = {
        way: SoftLabeller(encoded(pictures, encoder, way, labelled.tolist()), classes, settings).hidden(
            labels, ["regression"]
        )["regression"]
        for way in ways
    }
    return Chosen(max(ways, key=lambda way: scores[way].accuracy), scores)
