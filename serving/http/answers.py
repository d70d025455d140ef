"""The bytes of an upload → the bytes of the answer, for every route that takes images. Knows nothing about HTTP."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from models.pictures.decode import as_png
from serving.batcher import Answer, DynamicBatcher
from serving.decoder import Decoder
from serving.errors import FAILURES, problem_of
from serving.http.uploads import check_size, many_images, one_image
from serving.index.memory import Neighbor, Query
from serving.metrics import Metrics
from serving.model import Model, Prediction
from serving.settings import Settings

JSON, OCTETS = "application/json", "application/octet-stream"
DEFAULT_NEIGHBORS, MAX_NEIGHBORS = 10, 100


@dataclass(frozen=True)
class Services:
    """What the answers are made with."""

    settings: Settings
    model: Model
    batcher: DynamicBatcher[NDArray[np.uint8], Prediction]
    searcher: DynamicBatcher[Query, list[Neighbor]]
    decoder: Decoder
    metrics: Metrics


class Reply(NamedTuple):
    """What is answered when nothing went wrong."""

    content: bytes
    timing: str
    """Queue and inference milliseconds, as W3C Server-Timing."""
    media_type: str = JSON


class Kind(NamedTuple):
    """What is answered to one image."""

    route: str
    render: Callable[[Prediction, bool, str], bytes]
    """What the model says, whether the picture showed several digits, and the model's name → content."""
    media_type: str = JSON
    neighbors: int = 0
    """How many similar images are asked for instead."""


def _predicted(prediction: Prediction, several: bool, model: str) -> bytes:
    return to_json({**_as_predicted(prediction, several), "model": model})


def _predicted_and_embedded(prediction: Prediction, several: bool, model: str) -> bytes:
    return to_json({**_as_predicted(prediction, several), "model": model, "embedding": prediction.embedding})


def _embedded(prediction: Prediction, _several: bool, model: str) -> bytes:
    return to_json({"embedding": prediction.embedding, "dim": len(prediction.embedding), "model": model})


def _embedded_octets(prediction: Prediction, _several: bool, _model: str) -> bytes:
    return prediction.embedding.astype("<f4").tobytes()


PREDICT = Kind("/predict", _predicted)
PREDICT_AND_EMBED = Kind("/predict", _predicted_and_embedded)
EMBED = Kind("/embed", _embedded)
EMBED_OCTETS = Kind("/embed", _embedded_octets, OCTETS)
SEARCH = {k: Kind("/search", _predicted, neighbors=k) for k in range(1, MAX_NEIGHBORS + 1)}
KINDS: Mapping[bytes, Kind] = {
    b"/predict": PREDICT,
    b"/predict?embedding=true": PREDICT_AND_EMBED,
    b"/embed": EMBED,
    b"/search": SEARCH[DEFAULT_NEIGHBORS],
    **{b"/search?k=%d" % k: kind for k, kind in SEARCH.items()},
}
"""By URL, where it can be told from the URL as a whole, without FastAPI."""


def embed_kind(accept: str) -> Kind:
    """The embedding as JSON; as little-endian float32 for who accepts octets."""
    return EMBED_OCTETS if OCTETS in accept else EMBED


def found(neighbors: list[Neighbor], model: str) -> bytes:
    """The most similar images, best first."""
    return to_json({"neighbors": neighbors, "model": model})


async def answer_one(body: bytes, deps: Services, kind: Kind, debug: bool = False) -> Reply:
    """What is asked of the one image in an upload; a bad image is refused before it is queued.

    With `debug`, also the 28×28 pixels that the model saw, as a data URI (RFC 2397) that browsers show.
    """
    check_size(len(body), deps.settings.max_upload_bytes)
    seen = await deps.decoder.decode(one_image(body), deps.settings.request_timeout_s)
    answer = await deps.batcher.submit([seen.digit])
    if kind.neighbors:
        similar = await deps.searcher.submit([Query(answer.values[0].embedding, kind.neighbors)])
        content = found(similar.values[0], deps.model.name)
    else:
        content = kind.render(answer.values[0], seen.several, deps.model.name)
    if debug:
        shown = "data:image/png;base64," + base64.b64encode(as_png(seen.digit)).decode()
        content = orjson.dumps({**orjson.loads(content), "seen": shown})
    return Reply(content, timing(answer), kind.media_type)


async def predicted_batch(body: bytes, deps: Services) -> Reply:
    """Which digit is on each image."""
    results, spent = await _ask_model_many(body, deps, _as_predicted)
    return Reply(to_json({"results": results, "model": deps.model.name}), spent)


async def embedded_batch(body: bytes, deps: Services) -> Reply:
    """Each image as a unit vector."""
    results, spent = await _ask_model_many(body, deps, lambda one, _several: {"embedding": one.embedding})
    return Reply(to_json({"results": results, "dim": deps.model.dim, "model": deps.model.name}), spent)


async def _ask_model_many(
    body: bytes, deps: Services, render: Callable[[Prediction, bool], dict[str, Any]]
) -> tuple[list[dict[str, Any]], str]:
    """For each image in an upload what the model says of it, or what is wrong with it.

    One batch after the other, so that other requests get their turn in between.
    """
    contents, size = many_images(body), deps.batcher.max_batch_size
    results: list[dict[str, Any]] = []
    answers = []
    for first in range(0, len(contents), size):
        decoded = await deps.decoder.decode_many(contents[first : first + size], deps.settings.request_timeout_s)
        digits = [one.digit for one in decoded if not isinstance(one, FAILURES)]
        if digits:
            answers.append(await deps.batcher.submit(digits))
        predictions = iter(answers[-1].values if digits else ())
        results += [
            {"error": problem_of(one)} if isinstance(one, FAILURES) else render(next(predictions), one.several)
            for one in decoded
        ]
    return results, timing(*answers)


def _as_predicted(prediction: Prediction, several: bool) -> dict[str, Any]:
    digit, probabilities, _, known, novelty = prediction
    return {
        "digit": digit,
        "confidence": probabilities[digit],
        "known": known,
        "novelty": novelty,
        "several": several,
        "probabilities": probabilities,
    }


def timing(*answers: Answer[Prediction]) -> str:
    """Server-Timing of these answers together."""
    queue_s, run_s = sum(answer.queue_s for answer in answers), sum(answer.run_s for answer in answers)
    return Answer[Prediction]((), queue_s, run_s).timing


def to_json(content: dict[str, Any]) -> bytes:
    """JSON, numpy arrays included: float32 is written with as many digits as it has, not as a float64."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
