"""Failures as HTTP tells them: status codes and RFC 9457 problem documents. The one table of statuses."""

import logging
from http import HTTPStatus
from typing import NamedTuple

import orjson

from models.pictures.errors import NotAnImage, TooLarge, UndecodableImage
from serving import errors
from serving.http.replies import PROBLEM, Reply
from serving.logs import REQUEST_ID, log_failure

logger = logging.getLogger("serving")

RETRY_AFTER_S = 1


class Problem(NamedTuple):
    """How one kind of failure is told."""

    status: int
    title: str


PROBLEMS: dict[type[errors.Failure], Problem] = {
    errors.MalformedRequest: Problem(400, "The request makes no sense"),
    errors.Unauthorized: Problem(401, "The request gives no key of this service"),
    errors.Forbidden: Problem(403, "Nobody may ask for this here"),
    errors.UnknownItem: Problem(404, "The index has no such item"),
    errors.Conflict: Problem(409, "The request does not fit what the index has"),
    errors.NoClasses: Problem(409, "The model names no classes"),
    errors.Misdirected: Problem(421, "The request is meant for another host"),
    errors.SlowUpload: Problem(408, "The body did not arrive in time"),
    errors.BodyTooLarge: Problem(413, "More bytes than allowed"),
    TooLarge: Problem(413, "More pixels, or blocks, than allowed"),
    NotAnImage: Problem(415, "The bytes are no image of a known kind"),
    UndecodableImage: Problem(422, "The image is damaged"),
    errors.StoreFailure: Problem(503, "The index cannot be read or written now"),
    errors.StoreFull: Problem(507, "Nothing more fits into the index"),
    errors.ModelFailure: Problem(500, "The model failed"),
    errors.Overloaded: Problem(503, "Too many images are waiting"),
    errors.Draining: Problem(503, "The service is stopping"),
    errors.Hanging: Problem(503, "The model hangs"),
    errors.AnswerTimeout: Problem(504, "The model did not answer in time"),
}
OF_ITEMS = {errors.Forbidden, errors.UnknownItem, errors.Conflict, errors.StoreFailure, errors.StoreFull}
"""Failures that only routes about the index's items have."""


def document(problem: Problem, detail: str) -> dict[str, object]:
    """An RFC 9457 document; its type is `about:blank`, since the status says it all."""
    return {"type": "about:blank", "title": problem.title, "status": problem.status, "detail": detail}


def document_of(failure: errors.Failure) -> dict[str, object]:
    """What the client reads of `failure`."""
    return document(PROBLEMS[type(failure)], str(failure))


def reply_to(error: Exception, own_id: str) -> Reply:
    """The answer to request `own_id`, which ended with `error`: a Failure, or a bug, whose details only the log has."""
    if isinstance(error, errors.Failure):
        problem = PROBLEMS[type(error)]
        log_failure(problem.status, str(error), own_id)
        return reply(problem, str(error))
    logger.error("unexpected error", exc_info=error, extra={REQUEST_ID: own_id})
    return reply_with(HTTPStatus.INTERNAL_SERVER_ERROR, "unexpected error; the server's log tells more")


def reply_with(status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """A problem that HTTP itself names."""
    return reply(Problem(status, HTTPStatus(status).phrase), detail, headers)


def reply(problem: Problem, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """A problem document as the answer."""
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers = (*headers, ("www-authenticate", "Bearer"))
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = (*headers, ("retry-after", str(RETRY_AFTER_S)))
    return Reply(orjson.dumps(document(problem, detail)), PROBLEM, problem.status, headers)
