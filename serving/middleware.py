"""What happens around every request: an id, a count, a duration. Plain ASGI, since it is on the hot path."""

import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import unexpected
from serving.metrics import Metrics

REQUEST_ID = "X-Request-ID"
MAX_REQUEST_ID = 128


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
        request_id = _request_id(Headers(scope=scope).get(REQUEST_ID))

        answered = False

        async def send_with_id(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.requests.labels(route, message["status"]).inc()
                self._metrics.request_seconds.labels(route).observe(time.perf_counter() - started)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if answered:
                raise
            await unexpected(error)(scope, receive, send_with_id)


def _request_id(sent: str | None) -> str:
    """The client's own when it is short and printable: it goes into headers and logs."""
    if sent and len(sent) <= MAX_REQUEST_ID and sent.isascii() and sent.isprintable():
        return sent
    return uuid.uuid4().hex
