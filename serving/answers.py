"""The bytes of an upload → the bytes of the answer, for every route that takes images. Knows nothing about HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.batcher import Answer, DynamicBatcher
from serving.decoder import Decoder
from serving.errors import ServiceError, problem_of
from serving.index import Neighbor, Query
from serving.metrics import Metrics
from serving.model import Model, Prediction
from serving.settings import Settings
from serving.uploads import check_size, many_images, one_image

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


async def predicted(body: bytes, deps: Services, embedding: bool = False) -> Reply:
    """Which digit is on the image."""
    answer = await _ask_model(body, deps)
    content = _as_predicted(answer.values[0])
    content["model"] = deps.model.name
    if embedding:
        content["embedding"] = answer.values[0].embedding
    return Reply(to_json(content), _timing(answer))


async def embedded(body: bytes, deps: Services, accept: str = JSON) -> Reply:
    """The image as a unit vector; little-endian float32 for who accepts octets."""
    answer = await _ask_model(body, deps)
    embedding = answer.values[0].embedding
    if OCTETS in accept:
        return Reply(embedding.astype("<f4").tobytes(), _timing(answer), OCTETS)
    content = {"embedding": embedding, "dim": len(embedding), "model": deps.model.name}
    return Reply(to_json(content), _timing(answer))


async def similar(body: bytes, deps: Services, k: int = DEFAULT_NEIGHBORS) -> Reply:
    """Which images of the index look most like this one."""
    answer = await _ask_model(body, deps)
    found = await deps.searcher.submit([Query(answer.values[0].embedding, k)])
    return Reply(to_json({"neighbors": found.values[0], "model": deps.model.name}), _timing(answer))


async def predicted_batch(body: bytes, deps: Services) -> Reply:
    """Which digit is on each image."""
    results, timing = await _ask_model_many(body, deps)
    content = [_as_predicted(one) if isinstance(one, Prediction) else one for one in results]
    return Reply(to_json({"results": content, "model": deps.model.name}), timing)


async def embedded_batch(body: bytes, deps: Services) -> Reply:
    """Each image as a unit vector."""
    results, timing = await _ask_model_many(body, deps)
    content = [{"embedding": one.embedding} if isinstance(one, Prediction) else one for one in results]
    return Reply(to_json({"results": content, "dim": deps.model.dim, "model": deps.model.name}), timing)


ShortCut = Callable[[bytes, dict[bytes, bytes], Services], Awaitable[Reply]]


def _search_cut(k: int) -> ShortCut:
    return lambda body, _, deps: similar(body, deps, k)


SHORT_CUTS: Mapping[bytes, ShortCut] = {
    b"/predict": lambda body, _, deps: predicted(body, deps),
    b"/predict?embedding=true": lambda body, _, deps: predicted(body, deps, embedding=True),
    b"/embed": lambda body, headers, deps: embedded(body, deps, headers.get(b"accept", b"").decode("latin-1")),
    b"/search": _search_cut(DEFAULT_NEIGHBORS),
    **{b"/search?k=%d" % k: _search_cut(k) for k in range(1, MAX_NEIGHBORS + 1)},
}
"""URL → answer to body and headers (names in lower case): what can be told from the URL as a whole, without FastAPI."""


async def _ask_model(body: bytes, deps: Services) -> Answer[Prediction]:
    """What the model says of the one image in an upload; a bad image is refused before it is queued."""
    check_size(len(body), deps.settings.max_upload_bytes)
    digit = await deps.decoder.decode(one_image(body), deps.settings.request_timeout_s)
    return await deps.batcher.submit([digit])


async def _ask_model_many(body: bytes, deps: Services) -> tuple[list[Prediction | dict[str, Any]], str]:
    """For each image in an upload what the model says of it, or what is wrong with it.

    One batch after the other, so that other requests get their turn in between.
    """
    contents, size = many_images(body), deps.batcher.max_batch_size
    results: list[Prediction | dict[str, Any]] = []
    answers = []
    for first in range(0, len(contents), size):
        decoded = await deps.decoder.decode_many(contents[first : first + size], deps.settings.request_timeout_s)
        digits = [one for one in decoded if not isinstance(one, ServiceError)]
        if digits:
            answers.append(await deps.batcher.submit(digits))
        predictions = iter(answers[-1].values if digits else ())
        results += [
            {"error": problem_of(one)} if isinstance(one, ServiceError) else next(predictions) for one in decoded
        ]
    return results, _timing(*answers)


def _as_predicted(prediction: Prediction) -> dict[str, Any]:
    digit, probabilities, _ = prediction
    return {"digit": digit, "confidence": probabilities[digit], "probabilities": probabilities}


def _timing(*answers: Answer[Prediction]) -> str:
    queue_s = run_s = 0.0
    for answer in answers:
        queue_s += answer.queue_s
        run_s += answer.run_s
    return f"queue;dur={queue_s * 1e3:.3f}, inference;dur={run_s * 1e3:.3f}"


def to_json(content: dict[str, Any]) -> bytes:
    """JSON, numpy arrays included: float32 is written with as many digits as it has, not as a float64."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
