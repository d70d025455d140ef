"""What HTTP sees: every route with its parameters and documentation. What it answers is made in `answers.py`."""

from typing import Annotated, cast

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from numpy.typing import NDArray
from pydantic import ValidationError

from serving.errors import Draining, MalformedRequest
from serving.http import answers, schemas
from serving.http.answers import (
    DEFAULT_NEIGHBORS,
    JSON,
    MAX_NEIGHBORS,
    OCTETS,
    PREDICT,
    PREDICT_AND_EMBED,
    SEARCH,
    Reply,
    Services,
    embed_kind,
    to_json,
)
from serving.http.uploads import read_body
from serving.index.memory import Query as NeighborQuery

MAX_VECTOR_BYTES = 200_000
"""Largest body of a vector query: more than 4,096 numbers with all their digits."""


async def services(request: Request) -> Services:
    """The running service's own."""
    return cast(Services, request.app.state.services)


Deps = Annotated[Services, Depends(services)]
Neighbors = Annotated[int, Query(ge=1, le=MAX_NEIGHBORS, description="How many neighbours")]
router = APIRouter()


async def body_of(request: Request, deps: Services, max_bytes: int | None = None) -> bytes:
    """The request's whole body, within the limits that are set."""
    settings = deps.settings
    limit = settings.max_upload_bytes if max_bytes is None else max_bytes
    return await read_body(request, max_bytes=limit, timeout_s=settings.request_timeout_s)


def as_response(reply: Reply) -> Response:
    """With the headers that an answer to an image has."""
    return Response(reply.content, 200, {"Server-Timing": reply.timing}, reply.media_type)


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
    debug: Annotated[bool, Query(description="Also answer the 28×28 pixels that the model saw")] = False,
) -> Response:
    """Which digit is on the image."""
    kind = PREDICT_AND_EMBED if embedding else PREDICT
    return as_response(await answers.answer_one(await body_of(request, deps), deps, kind, debug))


@router.post(
    "/predict/batch",
    tags=["many images"],
    response_model=schemas.PredictedBatch,
    responses=schemas.PROBLEMS,
    openapi_extra=schemas.IMAGES_BODY,
)
async def predict_batch(request: Request, deps: Deps) -> Response:
    """Which digit is on each of the images, in order; what is wrong with it where there is something wrong."""
    return as_response(await answers.predicted_batch(await body_of(request, deps), deps))


@router.post(
    "/embed",
    tags=["images"],
    response_model=schemas.Embedded,
    responses={**schemas.PROBLEMS, 200: {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}},
    openapi_extra=schemas.IMAGE_BODY,
)
async def embed(request: Request, deps: Deps) -> Response:
    """The image as a unit vector; with `Accept: application/octet-stream` as little-endian float32."""
    kind = embed_kind(request.headers.get("accept", JSON))
    return as_response(await answers.answer_one(await body_of(request, deps), deps, kind))


@router.post(
    "/embed/batch",
    tags=["many images"],
    response_model=schemas.EmbeddedBatch,
    responses=schemas.PROBLEMS,
    openapi_extra=schemas.IMAGES_BODY,
)
async def embed_batch(request: Request, deps: Deps) -> Response:
    """Each of the images as a unit vector, in order; what is wrong with it where there is something wrong."""
    return as_response(await answers.embedded_batch(await body_of(request, deps), deps))


@router.post(
    "/search",
    tags=["similar images"],
    response_model=schemas.Found,
    responses=schemas.PROBLEMS,
    openapi_extra=schemas.IMAGE_BODY,
)
async def search(request: Request, deps: Deps, k: Neighbors = DEFAULT_NEIGHBORS) -> Response:
    """Which images of the index look most like this one."""
    return as_response(await answers.answer_one(await body_of(request, deps), deps, SEARCH[k]))


@router.post(
    "/search/vector",
    tags=["similar images"],
    response_model=schemas.Found,
    responses=schemas.PROBLEMS,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": schemas.VECTOR}}}},
)
async def search_vector(request: Request, deps: Deps, k: Neighbors = DEFAULT_NEIGHBORS) -> Response:
    """Which images of the index lie nearest to this embedding; it need not be normalised."""
    body = await body_of(request, deps, MAX_VECTOR_BYTES)
    found = await deps.searcher.submit([NeighborQuery(unit_vector(body, deps.model.dim), k)])
    return Response(answers.found(found.values[0], deps.model.name), media_type=JSON)


def unit_vector(body: bytes, dim: int) -> NDArray[np.float32]:
    """The JSON of a vector query → (dim,), unit norm; raises MalformedRequest."""
    try:
        query = schemas.VectorQuery.model_validate_json(body)
    except ValidationError as error:
        raise MalformedRequest(f'send {{"embedding": [numbers]}}: {error.errors()[0]["msg"]}') from error
    vector = np.asarray(query.embedding, np.float64)
    if len(vector) != dim:
        raise MalformedRequest(f"the embedding has {len(vector)} numbers, this model's have {dim}")
    largest = np.abs(vector).max()
    if largest == 0:
        raise MalformedRequest("the embedding is zero everywhere: it points nowhere")
    vector /= largest  # so that no square overflows
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


@router.get("/health/live", tags=["operation"], response_model=schemas.Live)
async def live() -> Response:
    """Whether the process answers at all; restart it when it does not."""
    return Response(to_json({"status": "live"}), media_type=JSON)


@router.get("/health/ready", tags=["operation"], response_model=schemas.Ready, responses={503: schemas.PROBLEMS[503]})
async def ready(deps: Deps) -> Response:
    """Whether images are taken now; send none when they are not."""
    if not deps.batcher.accepting:
        raise Draining("the service is stopping")
    status = {"status": "ready", "model": deps.model.name, "provider": deps.model.provider}
    return Response(to_json(status), media_type=JSON)


@router.get("/metrics", tags=["operation"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(deps: Deps) -> Response:
    """Prometheus's text format."""
    deps.metrics.waiting.set(deps.batcher.queue_size)
    return Response(deps.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
