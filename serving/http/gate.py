"""What every request passes before it is answered, at both doors: plain functions of its head, and their ASGI form."""

import itertools
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import MalformedRequest
from serving.http.problems import reply_to
from serving.http.replies import Reply
from serving.metrics import Metrics

REQUEST_ID = "X-Request-ID"
MAX_REQUEST_ID = 128
READ = frozenset({b"x-request-id", b"accept"})
"""Fields that gates and the front's answers depend on, in lower case."""
ONCE = frozenset({b"x-request-id"})
"""Those of them that a request may have once at most."""
FRONT = "front"
"""Key of the ASGI connection state under which the front waits for the end of a response."""
_PROCESS = os.urandom(8).hex()
_NUMBERS = itertools.count()


def read_fields(fields: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The fields in `READ`, by name, from (name in lower case, value) pairs; values of equal names are joined.

    Raises MalformedRequest for two of a field that a request may have once.
    """
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        if name not in READ:
            continue
        if name in found and name in ONCE:
            raise MalformedRequest(f"the request has the field {name.decode()} twice")
        found[name] = found[name] + b", " + value if name in found else value
    return found


def request_id(fields: Mapping[bytes, bytes]) -> str:
    """The client's own when it is short and printable, since it goes into headers and logs; else a new one.

    A new one has 32 hexadecimal digits: half of them random for the process, half of them a count.
    """
    sent = fields.get(b"x-request-id")
    if sent and len(sent) <= MAX_REQUEST_ID and sent.isascii() and (text := sent.decode()).isprintable():
        return text
    return f"{_PROCESS}{next(_NUMBERS):016x}"


class Gate:
    """The gates as ASGI middleware: for every request that the front does not answer itself.

    Also counts requests by route and status, answers bugs with a 500, and tells the front when a response is complete.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, answered = time.perf_counter(), False
        fields: dict[bytes, bytes] = {}

        async def send_and_count(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                MutableHeaders(scope=message)[REQUEST_ID] = request_id(fields)
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.observe_request(route, message["status"], time.perf_counter() - started)
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                _tell_front(scope)

        try:
            fields = read_fields(scope["headers"])
            await self._app(scope, receive, send_and_count)
        except Exception as error:
            if answered:
                raise
            await as_response(reply_to(error))(scope, receive, send_and_count)


def _tell_front(scope: Scope) -> None:
    front: Any = scope.get("state", {}).get(FRONT)
    if front is not None:
        front()


def as_response(reply: Reply) -> Response:
    """A reply for Starlette."""
    return Response(reply.content, reply.status, dict(reply.headers), reply.media_type)
