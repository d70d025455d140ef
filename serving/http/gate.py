"""What every request passes before it is answered, at both doors: plain functions of its head, and their ASGI form."""

import itertools
import logging
import os
import re
import time
from collections.abc import Container, Sequence

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import Forbidden, MalformedRequest, Misdirected
from serving.http.keys import NO_KEYS, PROXIED, Keys, bearer, needs_key, passed_on, writes
from serving.http.problems import reply_to
from serving.http.replies import REQUEST_ID, Reply
from serving.logs import Bounded, one_line
from serving.metrics import Metrics

MAX_REQUEST_ID = 128
OWN_ID = "fewlabel.request_id"
"""Key of the ASGI scope."""
WRITES_LOGGED_PER_S = 100
MAX_SHOWN = 100
"""Characters of a client's own that are said back to it."""
AUTHORITY = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""A host's name or address, and perhaps a port (RFC 9112, section 3.2; RFC 3986, section 3.2)."""
_PROCESS = os.urandom(8).hex()
_NUMBERS = itertools.count()


def request_id(sent: Sequence[bytes]) -> str:
    """The client's own when it is short and printable, since it goes into headers and logs; else a new one.

    `sent` are the values of the request's fields of that name. A new id has 32 hexadecimal digits: half of them random
    for the process, half of them a count. Raises MalformedRequest when there are two fields.
    """
    if sent:
        if len(sent) > 1:
            raise MalformedRequest(f"the request has the field {REQUEST_ID} {len(sent)} times")
        own = sent[0]
        if 0 < len(own) <= MAX_REQUEST_ID and own.isascii() and (text := own.decode()).isprintable():
            return text
    return f"{_PROCESS}{next(_NUMBERS):016x}"


def check_host(sent: Sequence[bytes], allowed: Container[str] | None) -> None:
    """Raises MalformedRequest unless `sent`, the values of the request's fields Host, are one host.

    Raises Misdirected when it is not one of those allowed (lower case; None allows any): a page that an attacker's
    name server has pointed at this machine says the attacker's name.
    """
    if len(sent) != 1 or not (authority := AUTHORITY.fullmatch(sent[0])):
        raise MalformedRequest("the request must have one field Host, which names one host (RFC 9112, section 3.2)")
    if allowed is not None and (host := authority[1].decode().lower()) not in allowed:
        raise Misdirected(f"{host[:MAX_SHOWN]!r} is not served here; FEWLABEL_ALLOWED_HOSTS names the hosts that are")


class Gate:
    """The gates as ASGI middleware: for every request that the front does not answer itself.

    Also counts requests by route and status, answers bugs with a 500, and logs which key wrote what.

    Args:
        metrics: count.
        hosts: see `check_host`.
        keys: None where none are set.
        local: whether only this machine's own programs can ask.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, hosts: Container[str] | None, keys: Keys | None, local: bool
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._hosts = hosts
        self._keys = keys
        self._local = local
        self._written = Bounded(WRITES_LOGGED_PER_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # answered as GET; the server leaves the content out (RFC 9110, section 9.3.2)
            scope = {**scope, "method": "GET"}
        started, answered = time.perf_counter(), False
        own_id = request_id(())

        async def send_and_count(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                MutableHeaders(scope=message)[REQUEST_ID] = own_id
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.observe_request(route, message["status"], time.perf_counter() - started)
            await send(message)

        try:
            own_id = scope[OWN_ID] = request_id(_values(scope, b"x-request-id"))
            hosts = _values(scope, b"host")
            if hosts or scope["http_version"] != "1.0":  # which has no such field
                check_host(hosts, self._hosts)
            self._admit(scope, own_id)
            if "\n" in scope["path"]:  # where the routes' patterns end
                raise MalformedRequest("no path has a line end in it")
            await self._app(scope, receive, send_and_count)
        except Exception as error:
            if answered:
                raise
            await as_response(reply_to(error, own_id))(scope, receive, send_and_count)

    def _admit(self, scope: Scope, own_id: str) -> None:
        """Raises Unauthorized, Forbidden or MalformedRequest unless the request may be made by whoever makes it."""
        method, path = scope["method"], scope["path"]
        if self._keys is None:
            if writes(method, path):
                if not self._local:
                    raise Forbidden(NO_KEYS)
                if passed_on(scope["headers"]):
                    raise Forbidden(PROXIED)
        elif needs_key(method, path):
            name = self._keys.check(_values(scope, b"x-api-key") or bearer(_values(scope, b"authorization")))
            if writes(method, path):
                self._written.log(logging.INFO, one_line(f"key {name}: {method} {path}"), own_id)


def _values(scope: Scope, wanted: bytes) -> list[bytes]:
    return [value.strip(b" \t") for name, value in scope["headers"] if name == wanted]


def as_response(reply: Reply) -> Response:
    """A reply for Starlette."""
    return Response(reply.content, reply.status, dict(reply.headers), reply.media_type)
