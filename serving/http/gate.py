"""What happens around every request: an id, a count, a duration."""

import itertools
import os
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import unexpected
from serving.metrics import Metrics

REQUEST_ID = "X-Request-ID"
MAX_REQUEST_ID = 128
_PROCESS = os.urandom(8).hex()
_NUMBERS = itertools.count()


class RequestContext:
    """Echoes or makes `X-Request-ID`, counts requests by route and status, and answers bugs with a 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        own_id = request_id(sent)
        answered = False

        async def send_with_id(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                MutableHeaders(scope=message)[REQUEST_ID] = own_id
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.observe_request(route, message["status"], time.perf_counter() - started)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if answered:
                raise
            await unexpected(error)(scope, receive, send_with_id)


def request_id(sent: bytes | None) -> str:
    """The client's own when it is short and printable, since it goes into headers and logs; else a new one.

    A new one has 32 hexadecimal digits: half of them random for the process, half of them a count.
    """
    if sent and len(sent) <= MAX_REQUEST_ID and sent.isascii() and (text := sent.decode()).isprintable():
        return text
    return f"{_PROCESS}{next(_NUMBERS):016x}"
