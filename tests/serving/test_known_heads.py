"""The short cut for heads that came before: no request is taken for another, no connection for idle."""

import json
import socket
import time

import pytest

from serving.protocol import ShortCutProtocol
from tests.conftest import Digits
from tests.serving.fakes import FakeModel, expected_digit
from tests.serving.sockets import connect, request, responses, serving
from tests.serving.uploads import encoded


def test_a_known_head_is_not_parsed_again(port: int, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request of a length is parsed, those after it are not, and all are answered alike."""
    parsed: list[bytes] = []
    complete = ShortCutProtocol.on_headers_complete

    def count(self: ShortCutProtocol) -> None:
        parsed.append(self.url)
        complete(self)

    monkeypatch.setattr(ShortCutProtocol, "on_headers_complete", count)
    body = encoded(digits[0][0])
    with connect(port) as connection:
        for _ in range(3):
            connection.sendall(request(body, "X-Mine: 1"))
            ((status, _, content),) = responses(connection, 1)
            assert status == "HTTP/1.1 200 OK"
            assert json.loads(content)["digit"] == expected_digit(digits[0][0])
        for url in ("/embed", "/search?k=3"):
            connection.sendall(request(body, "X-Mine: 1", url=url))
            responses(connection, 1)
        connection.sendall(request(body, "X-Mine: 1", "X-Request-ID: other"))
        assert responses(connection, 1)[0][1]["x-request-id"] == "other"
    assert parsed == [b"/predict", b"/embed", b"/search?k=3", b"/predict"]


def test_a_known_request_inside_another_is_its_body(port: int, digits: Digits) -> None:
    """However it arrives: whole, at the start of a packet of its own, or in two."""
    known = request(encoded(digits[0][0]))
    outer = request(known)
    head = outer[: -len(known)]
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(known)
        assert responses(connection, 1)[0][0] == "HTTP/1.1 200 OK"
        for pieces in ([outer], [head, known], [head[:20], head[20:], known], [head + known[:50], known[50:]]):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.02)
            assert responses(connection, 1)[0][0] == "HTTP/1.1 415 Unsupported Media Type"
        connection.sendall(b"BLA")
        time.sleep(0.02)
        connection.sendall(known)
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_idle_connections_are_closed_and_busy_ones_are_not(model: FakeModel, digits: Digits) -> None:
    sent = request(encoded(digits[0][0]))
    with serving(model, timeout_keep_alive=1) as port, connect(port) as connection:
        started = time.perf_counter()
        while time.perf_counter() - started < 2.5:
            connection.sendall(sent)
            assert responses(connection, 1)[0][0] == "HTTP/1.1 200 OK"
            time.sleep(0.1)
        model.released.clear()  # an answer that takes longer
        connection.sendall(sent)
        time.sleep(1.5)
        model.released.set()
        assert responses(connection, 1)[0][0] == "HTTP/1.1 200 OK"
        answered = time.perf_counter()
        assert connection.recv(1) == b""
        assert 0.8 < time.perf_counter() - answered < 3
