"""Connections: no request is taken for another, no connection for idle, and nothing is lost between two doors."""

import asyncio
import gc
import json
import logging
import socket
import time
from contextlib import suppress
from typing import Any

import pytest
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.app import create_app
from serving.http import answers
from serving.http.front import Front
from serving.http.heads import MAX_HEAD_BYTES
from serving.http.passage import Passage
from serving.settings import Settings
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.fakes import FakeModel, expected_digit, fake_index
from tests.serving.sockets import connect, request, responses, serving

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
ZEROS = b"POST / HTTP/1.1\r\nContent-Length: %b5\r\n\r\n" % (b"0" * 5000)
OK, BAD = "HTTP/1.1 200 OK", "HTTP/1.1 400 Bad Request"


def chunked(body: bytes, size: int = 50, trailer: bytes = b"", url: str = "/predict") -> bytes:
    head = f"POST {url} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return head + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n" + trailer + b"\r\n"


def test_a_request_inside_another_is_its_body(port: int, digits: Digits) -> None:
    """However it arrives: whole, at the start of a packet of its own, or in two."""
    inner = request(encoded(digits[0][0]))
    outer = request(inner)
    head = outer[: -len(inner)]
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pieces in ([outer], [head, inner], [head[:20], head[20:], inner], [head + inner[:50], inner[50:]]):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.02)
            assert responses(connection, 1)[0][0] == "HTTP/1.1 415 Unsupported Media Type"
        connection.sendall(b"BLA")
        time.sleep(0.02)
        connection.sendall(inner)
        assert responses(connection, 1)[0][0] == "HTTP/1.1 501 Not Implemented"  # the method BLAPOST
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "garbage", [b"BLA\r\n\r\n", b"\0\r\n\r\n", b"GET / HTTP/1.1\nHost: localhost\n\n\r\n\r\n", ZEROS], ids=range(4)
)
def test_a_request_followed_by_garbage_is_answered_first(port: int, digits: Digits, garbage: bytes) -> None:
    for first in (request(encoded(digits[0][0])), LIVE, chunked(encoded(digits[0][0]))):
        with connect(port) as connection:
            connection.sendall(first + garbage + first)
            statuses = [status for status, _, _ in responses(connection, 2)]
            assert statuses == [OK, BAD]
            assert connection.recv(1) == b""


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
@pytest.mark.parametrize("pause_s", [0.0, 0.001])
def test_chunked_and_other_requests_take_turns(port: int, digits: Digits, size: int, pause_s: float) -> None:
    """Bodies that hold empty lines and whole requests, with trailers or none, in packets of any size."""
    body, hidden = encoded(digits[0][0]), request(encoded(digits[0][1]), url="/embed")
    sent = [
        chunked(body),
        request(body),
        chunked(b"\r\n\r\n" + hidden, 3),
        LIVE,
        chunked(body, trailer=b"X-Trailer: 1\r\n"),
        request(body),
        chunked(hidden + b"0\r\n\r\n", 1000),
        chunked(b""),
        request(body, url="/search?k=2"),
    ]
    stream = b"".join(sent)
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(stream), size):
            connection.sendall(stream[start : start + size])
            if pause_s and start % 100 == 0:
                time.sleep(pause_s)
        statuses = [int(status.split()[1]) for status, _, _ in responses(connection, len(sent))]
        assert statuses == [200, 200, 415, 200, 200, 200, 415, 400, 200]
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)


def test_a_connection_comes_back_from_uvicorn(port: int, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[bytes] = []
    begin = Passage.begin

    def note(self: Passage, head: Any) -> None:
        passed.append(head.line.split()[1])
        begin(self, head)

    monkeypatch.setattr(Passage, "begin", note)
    body = encoded(digits[0][0])
    with connect(port) as connection:
        for url in ("/predict", "/predict?debug=true", "/predict", "/search?k=7", "/nowhere", "/embed"):
            connection.sendall(request(body, url=url))
            responses(connection, 1)
    assert passed == [b"/predict?debug=true", b"/nowhere"]


def test_idle_connections_are_closed_and_busy_ones_are_not(model: FakeModel, digits: Digits) -> None:
    body = encoded(digits[0][0])
    with serving(model, client_timeout_s=1) as port, connect(port) as connection:
        started, number = time.perf_counter(), 0
        while time.perf_counter() - started < 2.5:
            number += 1
            connection.sendall(request(body, url="/predict" if number % 5 else "/predict?debug=true"))
            assert responses(connection, 1)[0][0] == OK
            time.sleep(0.1)
        for url in ("/predict", "/predict?debug=true"):  # answers that take longer
            model.released.clear()
            connection.sendall(request(body, url=url))
            time.sleep(1.5)
            model.released.set()
            assert responses(connection, 1)[0][0] == OK
        answered = time.perf_counter()
        assert connection.recv(1) == b""
        assert 0.8 < time.perf_counter() - answered < 3


@pytest.mark.parametrize("url", ["/predict", "/predict?debug=true"])
@pytest.mark.parametrize(
    "offer",
    [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
        ("Connection: upgrade", "Upgrade: websocket"),
        ("Connection: keep-alive, Upgrade", "upgrade: h2c", "UPGRADE: foo"),
    ],
)
def test_an_offer_to_upgrade_is_ignored(port: int, digits: Digits, url: str, offer: tuple[str, ...]) -> None:
    """Its body is read, and what follows is the next request."""
    body = encoded(digits[0][0])
    with connect(port) as connection:
        connection.sendall(request(body, *offer, url=url) + request(encoded(digits[0][1])))
        for (status, _, content), image in zip(responses(connection, 2), digits[0][:2], strict=True):
            assert status == OK
            assert json.loads(content)["digit"] == expected_digit(image)


def test_connect_is_refused(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"CONNECT x:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n" + LIVE)
        assert responses(connection, 1)[0][0] == BAD
        assert connection.recv(1) == b""


def test_a_bug_while_answering_is_told(port: int, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> bytes:
        raise RuntimeError("cosmic ray")

    monkeypatch.setattr(answers, "similar", bug)
    with connect(port) as connection:
        for url in ("/search", "/search?k=3&x=1"):
            connection.sendall(request(encoded(digits[0][0]), url=url))
            assert responses(connection, 1)[0][0] == "HTTP/1.1 500 Internal Server Error"


def test_two_ids_are_refused_at_both_doors(port: int, digits: Digits) -> None:
    with connect(port) as connection:
        for url in ("/predict", "/predict?embedding=false"):
            connection.sendall(request(encoded(digits[0][0]), "X-Request-ID: one", "X-REQUEST-ID: two", url=url))
            status, headers, content = responses(connection, 1)[0]
            assert status == BAD
            assert "X-Request-ID" in json.loads(content)["detail"]
            assert len(headers["x-request-id"]) == 32


def test_a_head_without_end_is_refused(port: int) -> None:
    for sent in (
        b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES,
        b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * MAX_HEAD_BYTES,
    ):
        with connect(port) as connection:
            with suppress(ConnectionError):
                connection.sendall(sent)
            assert responses(connection, 1)[0][0] == "HTTP/1.1 431 Request Header Fields Too Large"


def test_other_middleware_sees_every_request(digits: Digits, caplog: pytest.LogCaptureFixture) -> None:
    """The front stands aside, and says so."""

    class Gate(BaseHTTPMiddleware):  # the name of our own, which must not let it pass
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            response = await call_next(request)
            response.headers["x-marked"] = "yes"
            return response

    app = create_app(Settings(), FakeModel(), fake_index())
    app.add_middleware(Gate)
    with caplog.at_level(logging.WARNING, "serving"), serving(app=app) as port, connect(port) as connection:
        body = encoded(digits[0][0])
        connection.sendall(request(body) + request(body, "Connection: close"))
        for status, headers, content in responses(connection, 2):
            assert (status, headers["x-marked"]) == (OK, "yes")
            assert json.loads(content)["digit"] == expected_digit(digits[0][0])
        answered = time.perf_counter()
        assert connection.recv(1) == b""
        assert time.perf_counter() - answered < 2
    assert "Gate" in caplog.text


def test_lost_connections_are_let_go(model: FakeModel, digits: Digits) -> None:
    """Those that leave while they wait, at either door, and those that were answered; without a collection."""
    with serving(model) as port:
        model.released.clear()
        gone = [connect(port) for _ in range(20)]
        for number, connection in enumerate(gone):
            url = "/predict" if number % 2 else "/predict?debug=true"
            connection.sendall(request(encoded(digits[0][0]), url=url))
        time.sleep(0.2)
        gc.collect()
        gc.disable()
        try:
            for connection in gone:
                connection.close()
            model.released.set()
            with connect(port) as connection:
                connection.sendall(request(encoded(digits[0][0])))
                assert responses(connection, 1)[0][0] == OK
            time.sleep(0.2)
            left = [one for one in gc.get_objects() if isinstance(one, Front | Passage)]
        finally:
            gc.enable()
    assert len(left) <= 1


def test_what_the_front_uses_of_uvicorn() -> None:
    """All of it: what uvicorn hands to a protocol class and calls on it, and what its own protocol takes."""
    state, config = ServerState(), Config(lambda *_: None)
    config.load()
    assert isinstance(state.connections, set)
    assert isinstance(state.default_headers, list)

    async def protocol() -> HttpToolsProtocol:
        return HttpToolsProtocol(config, state, {}, asyncio.get_running_loop())

    inner = asyncio.run(protocol())
    assert isinstance(inner, asyncio.Protocol)
    assert inner.app is config.loaded_app
    assert callable(inner.shutdown)
