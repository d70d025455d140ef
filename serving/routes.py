"""What HTTP sees: every route, from upload to answer."""

from dataclasses import asdict, dataclass
from typing import Annotated, cast

import numpy as np
import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from numpy.typing import NDArray
from pydantic import ValidationError

from serving import schemas
from serving.batcher import Answer, DynamicBatcher
from serving.decoder import Decoder
from serving.errors import Draining, MalformedRequest
from serving.index import NeighborIndex
from serving.metrics import Metrics
from serving.model import Model, Prediction
from serving.settings import Settings
from serving.uploads import read_body, read_image

MAX_NEIGHBORS = 100
MAX_VECTOR_BYTES = 200_000
"""Largest body of a vector query: more than 4,096 numbers with all their digits."""
OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Services:
    """What the routes work with."""

    settings: Settings
    model: Model
    index: NeighborIndex
    batcher: DynamicBatcher[NDArray[np.uint8], Prediction]
    decoder: Decoder
    metrics: Metrics


async def services(request: Request) -> Services:
    """The running service's own."""
    return cast(Services, request.app.state.services)


Deps = Annotated[Services, Depends(services)]
Neighbors = Annotated[int, Query(ge=1, le=MAX_NEIGHBORS, description="How many neighbours")]
router = APIRouter()


async def answer_upload(request: Request, deps: Services) -> Answer[Prediction]:
    """Upload → what the model says of it; a bad image is refused before it is queued."""
    limit_s = deps.settings.request_timeout_s
    content = await read_image(request, max_bytes=deps.settings.max_upload_bytes, timeout_s=limit_s)
    digit = await deps.decoder.decode(content, limit_s)
    return await deps.batcher.submit(digit)


def timing(answer: Answer[Prediction]) -> dict[str, str]:
    """Queue and inference milliseconds, as W3C Server-Timing."""
    return {"Server-Timing": f"queue;dur={answer.queue_s * 1e3:.3f}, inference;dur={answer.run_s * 1e3:.3f}"}


def as_json(content: dict[str, object], headers: dict[str, str] | None = None) -> Response:
    """A response of JSON, numpy arrays included: float32 is written with as many digits as it has, not as a float64."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), 200, headers, "application/json")


@router.post(
    "/predict",
    tags=["images"],
    response_model=schemas.Predicted,
    responses=schemas.PROBLEMS,
    openapi_extra=schemas.IMAGE_BODY,
)
async def predict(
    request: Request,
    deps: Deps,
    embedding: Annotated[bool, Query(description="Also answer the embedding")] = False,
) -> Response:
    """Which digit is on the image."""
    answer = await answer_upload(request, deps)
    prediction = answer.value
    content: dict[str, object] = {
        "digit": prediction.digit,
        "confidence": prediction.probabilities[prediction.digit],
        "probabilities": prediction.probabilities,
        "model": deps.model.name,
    }
    if embedding:
        content["embedding"] = prediction.embedding
    return as_json(content, timing(answer))


@router.post(
    "/embed",
    tags=["images"],
    response_model=schemas.Embedded,
    responses={**schemas.PROBLEMS, 200: {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}},
    openapi_extra=schemas.IMAGE_BODY,
)
async def embed(request: Request, deps: Deps) -> Response:
    """The image as a unit vector; with `Accept: application/octet-stream` as little-endian float32."""
    answer = await answer_upload(request, deps)
    embedding = answer.value.embedding
    if OCTETS in request.headers.get("accept", ""):
        return Response(embedding.astype("<f4").tobytes(), 200, timing(answer), OCTETS)
    return as_json({"embedding": embedding, "dim": len(embedding), "model": deps.model.name}, timing(answer))


@router.post(
    "/search",
    tags=["similar images"],
    response_model=schemas.Found,
    responses=schemas.PROBLEMS,
    openapi_extra=schemas.IMAGE_BODY,
)
async def search(request: Request, deps: Deps, k: Neighbors = 10) -> Response:
    """Which images of the index look most like this one."""
    answer = await answer_upload(request, deps)
    return as_json(neighbors(answer.value.embedding, k, deps), timing(answer))


@router.post(
    "/search/vector",
    tags=["similar images"],
    response_model=schemas.Found,
    responses=schemas.PROBLEMS,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": schemas.VECTOR}}}},
)
async def search_vector(request: Request, deps: Deps, k: Neighbors = 10) -> Response:
    """Which images of the index lie nearest to this embedding; it need not be normalised."""
    body = await read_body(request, max_bytes=MAX_VECTOR_BYTES, timeout_s=deps.settings.request_timeout_s)
    try:
        query = schemas.VectorQuery.model_validate_json(body)
    except ValidationError as error:
        raise MalformedRequest(f'send {{"embedding": [numbers]}}: {error.errors()[0]["msg"]}') from error
    vector = np.asarray(query.embedding, np.float64)
    if len(vector) != deps.model.dim:
        raise MalformedRequest(f"the embedding has {len(vector)} numbers, this model's have {deps.model.dim}")
    largest = np.abs(vector).max()
    if largest == 0:
        raise MalformedRequest("the embedding is zero everywhere: it points nowhere")
    vector /= largest  # so that no square overflows
    return as_json(neighbors((vector / np.linalg.norm(vector)).astype(np.float32), k, deps))


def neighbors(embedding: NDArray[np.float32], k: int, deps: Services) -> dict[str, object]:
    """The answer of both searches."""
    return {"neighbors": [asdict(one) for one in deps.index.search(embedding, k)], "model": deps.model.name}


@router.get("/health/live", tags=["operation"], response_model=schemas.Live)
async def live() -> Response:
    """Whether the process answers at all; restart it when it does not."""
    return as_json({"status": "live"})


@router.get("/health/ready", tags=["operation"], response_model=schemas.Ready, responses={503: schemas.PROBLEMS[503]})
async def ready(deps: Deps) -> Response:
    """Whether images are taken now; send none when they are not."""
    if not deps.batcher.accepting:
        raise Draining("the service is stopping")
    return as_json({"status": "ready", "model": deps.model.name, "provider": deps.model.provider})


@router.get("/metrics", tags=["operation"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(deps: Deps) -> Response:
    """Prometheus's text format."""
    deps.metrics.waiting.set(deps.batcher.queue_size)
    return Response(deps.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
