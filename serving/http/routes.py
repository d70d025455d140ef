"""What FastAPI sees: every route with its parameters and documentation. Answers are written in `answers`."""

from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from http import HTTPStatus
from itertools import chain
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from models.pictures.errors import PictureError
from serving.errors import Draining, Failure, Hanging, MalformedRequest, Overloaded, ServiceError, StoreFailure
from serving.http import answers, schemas
from serving.http.gate import OWN_ID, as_response
from serving.http.problems import reply_to, reply_with
from serving.http.replies import NPY, OCTETS, Reply
from serving.http.running import LabelFilter, Running, SourceFilter, State, accepted
from serving.http.uploads import many_images, one_image, unpacked
from serving.logs import log_failure
from serving.service import Wanted

MAX_VECTOR_BYTES = 200_000
"""Largest body of a vector query: more than 4,096 numbers with all their digits."""


Route = TypeVar("Route", bound=Callable[..., Coroutine[Any, Any, Response]])
Neighbors = Annotated[int, Query(ge=1, le=answers.MAX_NEIGHBORS, description="How many neighbours")]
STORE_S = 1.0
"""How long the metrics wait for the index's store."""
router = APIRouter()


def _post(
    path: str, tag: str, answer: type[BaseModel], body: answers.Fields = schemas.IMAGE_BODY, binary: str = ""
) -> Callable[[Route], Route]:
    """A route that takes `body`, answers JSON (or what is `binary`), and may fail in all the ways there are."""
    responses = dict(schemas.PROBLEMS)
    if binary:
        responses[200] = {"content": {binary: {"schema": schemas.BINARY}}}
    return router.post(path, tags=[tag], response_model=answer, responses=responses, openapi_extra=body)


async def answer_one(request: Request, running: State, fmt: answers.Format) -> Response:
    """What `fmt` says of the image in the request."""
    fmt.check(running.service.model)
    async with running.bodies.of(request) as body:
        answer = await running.service.answer(await unpacked(one_image, body), fmt.wanted)
    return as_response(fmt.reply(answer, running.service.model))


async def answer_many(request: Request, running: State, render: answers.Render, others: answers.Fields) -> Response:
    """What `render` says of each image in the request, and `others` of all."""
    async with running.bodies.of(request) as body:
        found = await running.service.answer_many(await unpacked(many_images, body))
    return as_response(answers.batch_reply(found, running.service.model, render, others))


@_post("/predict", "images", schemas.Predicted)
async def predict(
    request: Request,
    running: Running,
    embedding: Annotated[bool, Query(description="Also answer the embedding")] = False,
    debug: Annotated[bool, Query(description="Also answer the pixels that the model saw")] = False,
) -> Response:
    """Which class the image shows."""
    fmt = answers.PREDICT_AND_EMBED if embedding else answers.PREDICT
    return await answer_one(request, running, answers.debugging(fmt) if debug else fmt)


@_post("/predict/batch", "many images", schemas.PredictedBatch, schemas.IMAGES_BODY)
async def predict_batch(request: Request, running: Running) -> Response:
    """Which class each of the images shows, in order; what is wrong with it where something is."""
    answers.PREDICT.check(running.service.model)
    return await answer_many(request, running, answers.prediction_of, {})


@_post("/embed", "images", schemas.Embedded, binary=OCTETS)
async def embed(request: Request, running: Running) -> Response:
    """The image as a unit vector; with `Accept: application/octet-stream` as little-endian float32."""
    return await answer_one(request, running, answers.embedding_format(accepted(request)))


@_post("/embed/batch", "many images", schemas.EmbeddedBatch, schemas.IMAGES_BODY, NPY)
async def embed_batch(request: Request, running: Running) -> Response:
    """Each of the images as a unit vector, in order; what is wrong with it where something is.

    With `Accept: application/x-npy` as a file for `numpy.load`, float32, a row for each; what is wrong with one is then
    the answer to all.
    """
    async with running.bodies.of(request) as body:
        found = await running.service.answer_many(await unpacked(many_images, body))
    if NPY in (accept := accepted(request)) or OCTETS in accept:
        return as_response(answers.rows_reply(found))
    return as_response(
        answers.batch_reply(found, running.service.model, answers.embedding_of, {"dim": running.service.model.dim})
    )


@_post("/search", "similar images", schemas.Found)
async def search(
    request: Request,
    running: Running,
    label: LabelFilter,
    k: Neighbors = answers.DEFAULT_NEIGHBORS,
    source: SourceFilter = None,
) -> Response:
    """Which images of the index look most like this one."""
    return await answer_one(request, running, answers.search_format(k, label, source))


@_post("/search/vector", "similar images", schemas.Found, schemas.VECTOR_BODY)
async def search_vector(
    request: Request,
    running: Running,
    label: LabelFilter,
    k: Neighbors = answers.DEFAULT_NEIGHBORS,
    source: SourceFilter = None,
) -> Response:
    """Which images of the index lie nearest to this embedding; it need not be normalised."""
    service = running.service
    async with running.bodies.of(request, MAX_VECTOR_BYTES) as body:
        vector = unit_vector(body, service.model.dim)
    neighbors = await service.search(vector, Wanted(k, label, source))
    return as_response(Reply(answers.to_json(answers.similar(neighbors, service.model, service.index.live.missing))))


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


@router.get("/model", tags=["model"], response_model=schemas.Described)
async def describe(running: Running) -> Response:
    """What answers: its classes, what it takes, how good it is and how that was measured."""
    return as_response(Reply(answers.to_json(answers.description_of(running.service.model))))


@router.get("/health/live", tags=["operation"], response_model=schemas.Live, responses={503: schemas.PROBLEMS[503]})
async def live(running: Running) -> Response:
    """Whether the process answers and its model does not hang; restart it otherwise."""
    if running.service.batcher.hanging or running.service.searcher.hanging:
        raise Hanging("the model hangs")
    return as_response(Reply(answers.to_json({"status": "live"})))


@router.get("/health/ready", tags=["operation"], response_model=schemas.Ready, responses={503: schemas.PROBLEMS[503]})
async def ready(running: Running) -> Response:
    """Whether images are taken now; send none when they are not."""
    service = running.service
    if service.batcher.hanging or service.searcher.hanging:
        raise Hanging("the model hangs")
    if not (service.batcher.accepting and service.searcher.accepting):
        raise Draining("the service is stopping")
    if not service.decoder.healthy:
        raise Overloaded("no decoder process runs")
    model = service.model
    return as_response(Reply(answers.to_json({"status": "ready", "model": model.name, "provider": model.provider})))


@router.get("/metrics", tags=["operation"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(running: Running) -> Response:
    """Prometheus's text format."""
    running.metrics.waiting.set(running.service.batcher.waiting)
    index, totals = running.service.index, None
    with suppress(StoreFailure, Overloaded, Draining):
        totals = await index.totals(STORE_S)
    running.metrics.set_index(totals, index.live.missing)
    return as_response(Reply(running.metrics.render(), "text/plain; version=0.0.4; charset=utf-8"))


def methods_of(request: Request, routes: Iterable[BaseRoute]) -> set[str]:
    """All methods that a request's path has routes for."""
    found = (one for one in routes if isinstance(one, APIRoute) and one.matches(request.scope)[0] is not Match.NONE)
    return set(chain.from_iterable(route.methods or () for route in found))


def install(app: FastAPI, *others: APIRouter) -> None:
    """Adds the routes, and `others`, and makes every failure a problem document; bugs are left to the gate."""
    routers = (router, *others)
    for one in routers:
        app.include_router(one)

    # Not left to the gate too: the frames between would keep the exception, and so the body, until a collection.
    @app.exception_handler(ServiceError)
    @app.exception_handler(PictureError)
    async def on_failure(request: Request, error: Failure) -> Response:
        return as_response(reply_to(error, request.scope[OWN_ID]))

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        log_failure(error.status_code, str(error.detail), request.scope[OWN_ID])
        headers = tuple((error.headers or {}).items())
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # the framework names those of one route alone
            methods = methods_of(request, chain.from_iterable(one.routes for one in routers))
            headers = (("allow", ", ".join(sorted(methods))),) if methods else headers
        return as_response(reply_with(error.status_code, str(error.detail), headers))

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(request: Request, error: RequestValidationError) -> Response:
        details = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        return as_response(reply_to(MalformedRequest("; ".join(details)), request.scope[OWN_ID]))
