"""What can go wrong with a request, and which status code says so (RFC 9457 `application/problem+json`).

ServiceError
├── MalformedRequest     400  the request makes no sense
├── SlowUpload           408  the body did not arrive in time
├── TooLarge             413  more bytes than allowed
├── ModelFailure         500  the model itself failed: our fault
├── Overloaded           503  the queue is full
├── Draining             503  the service is stopping
└── AnswerTimeout        504  the model did not answer in time

PictureError (models.pictures.errors)
├── NotAnImage           415
├── UndecodableImage     422
└── TooLarge             413
"""

import logging
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from models.pictures import errors as pictures
from models.pictures.errors import NotAnImage, PictureError, UndecodableImage

logger = logging.getLogger("serving")


class ServiceError(Exception):
    """A request that cannot be answered; its text is the `detail` that the client reads."""


class MalformedRequest(ServiceError):
    """The request makes no sense."""


class SlowUpload(ServiceError):
    """The body did not arrive in time."""


class TooLarge(ServiceError):
    """More bytes or pixels than allowed."""


class ModelFailure(ServiceError):
    """The model failed."""


class Overloaded(ServiceError):
    """Too many images are waiting."""


class Draining(ServiceError):
    """The service is stopping."""


class AnswerTimeout(ServiceError):
    """The model did not answer in time."""


Failure = ServiceError | PictureError
FAILURES = (ServiceError, PictureError)
STATUS: dict[type[Failure], int] = {
    MalformedRequest: 400,
    SlowUpload: 408,
    TooLarge: 413,
    NotAnImage: 415,
    UndecodableImage: 422,
    pictures.TooLarge: 413,
    ModelFailure: 500,
    Overloaded: 503,
    Draining: 503,
    AnswerTimeout: 504,
}
RETRY_AFTER_S = 1


def problem(status: int, title: str, detail: str) -> dict[str, object]:
    """An RFC 9457 document; `about:blank` is its type, since the status says it all."""
    return {"type": "about:blank", "title": title, "status": status, "detail": detail}


def problem_of(error: Failure) -> dict[str, object]:
    """What the client reads of `error`."""
    return problem(STATUS[type(error)], (type(error).__doc__ or "").rstrip("."), str(error))


def response(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem document as the answer."""
    return Response(orjson.dumps(problem(status, title, detail)), status, headers, "application/problem+json")


def response_to(error: Failure | ClientDisconnect) -> Response:
    """The answer to a request that failed like this."""
    if isinstance(error, ClientDisconnect):
        error = MalformedRequest("the connection closed inside the body")
    status = STATUS[type(error)]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return Response(orjson.dumps(problem_of(error)), status, headers, "application/problem+json")


async def _on_service_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, (*FAILURES, ClientDisconnect))
    return response_to(error)


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return response(error.status_code, HTTPStatus(error.status_code).phrase, str(error.detail), headers)


async def _on_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return response_to(MalformedRequest("; ".join(details)))


def unexpected(error: Exception) -> Response:
    """What the client reads of a bug of ours; the log reads all of it."""
    logger.error("unexpected error", exc_info=error)
    return response(500, HTTPStatus(500).phrase, "unexpected error; the server's log tells more")


def lines_of(response: Response) -> str:
    """Its header lines but for the length, as HTTP/1.1 has them."""
    return "".join(f"{name}: {value}\r\n" for name, value in response.headers.items() if name != "content-length")


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem document; bugs are left to the outermost middleware."""
    for kind in FAILURES:
        app.add_exception_handler(kind, _on_service_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(ClientDisconnect, _on_service_error)
