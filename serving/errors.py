"""What can go wrong with a request. Knows neither HTTP nor its status codes (`serving.http.problems` does).

ServiceError
├── MalformedRequest     the request makes no sense
├── Unauthorized         it gives no key of this service
├── Forbidden            nobody may ask for this here
├── UnknownItem          it names an item that the index does not have
├── Conflict             it does not fit what the index has
├── NoClasses            it asks for a class of a model that names none
├── Misdirected          it is meant for another host
├── SlowUpload           the body did not arrive in time
├── BodyTooLarge         more bytes than allowed
├── StoreFull            nothing more fits into the index
├── StoreFailure         the index's store failed, or cannot be reached
├── ModelFailure         the model itself failed: our fault
├── Overloaded           too much waits already
├── Draining             the service is stopping
├── Hanging              the model hangs
└── AnswerTimeout        the model did not answer in time

Pictures that cannot be read raise `models.pictures.errors.PictureError`.
"""

from models.pictures.errors import PictureError


class ServiceError(Exception):
    """A request that cannot be answered; its text is the detail that the client reads."""


class MalformedRequest(ServiceError):
    """The request makes no sense."""


class Unauthorized(ServiceError):
    """The request gives no key of this service."""


class Forbidden(ServiceError):
    """Nobody may ask for this here."""


class UnknownItem(ServiceError):
    """The index has no such item."""


class Conflict(ServiceError):
    """The request does not fit what the index has."""


class NoClasses(ServiceError):
    """The request asks for a class, and the model names none."""


class Misdirected(ServiceError):
    """The request is meant for another host."""


class SlowUpload(ServiceError):
    """The body did not arrive in time."""


class BodyTooLarge(ServiceError):
    """More bytes than allowed."""


class StoreFull(ServiceError):
    """Nothing more fits into the index."""


class StoreFailure(ServiceError):
    """The index's store failed, or cannot be reached."""


class ModelFailure(ServiceError):
    """The model failed."""


class Overloaded(ServiceError):
    """Too many images are waiting."""


class Draining(ServiceError):
    """The service is stopping."""


class Hanging(ServiceError):
    """The model hangs."""


class AnswerTimeout(ServiceError):
    """The model did not answer in time."""


Failure = ServiceError | PictureError
"""Whatever keeps one request from being answered, and no other."""
