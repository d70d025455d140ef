"""The short cut for heads that came before: no request is taken for another, no connection for idle."""

import gc
import json
import socket
import time
from contextlib import suppress

import pytest

from serving.http import front as protocol
from serving.http.front import ShortCutProtocol
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.fakes import FakeModel, expected_digit
from tests.serving.sockets import connect, request, responses, serving


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


def test_an_upgrade_ends_the_connection(port: int, digits: Digits) -> None:
    """httptools takes the body of such a request for the next one: nothing may be answered after it."""
    inner = request(encoded(digits[0][0]))
    upgrade = request(inner, "Connection: upgrade", "Upgrade: h2c")
    with connect(port) as connection:
        connection.sendall(inner)
        assert responses(connection, 1)[0][0] == "HTTP/1.1 200 OK"
    for pieces in ([upgrade], [upgrade[: -len(inner)], inner]):
        with connect(port) as connection:
            received = b""
            with suppress(ConnectionError):
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(0.1)
                while more := connection.recv(4096):
                    received += more
            assert received.count(b"HTTP/1.1 ") <= 1


def test_a_bug_while_answering_is_told(port: int, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> bytes:
        raise RuntimeError("cosmic ray")

    monkeypatch.setattr(protocol, "found", bug)
    with connect(port) as connection:
        connection.sendall(request(encoded(digits[0][0]), url="/search"))
        assert responses(connection, 1)[0][0] == "HTTP/1.1 500 Internal Server Error"


def test_of_two_headers_the_first_counts(port: int, digits: Digits) -> None:
    with connect(port) as connection:
        for url in ("/predict", "/predict?embedding=false"):  # the short cut, and FastAPI
            connection.sendall(request(encoded(digits[0][0]), "X-Request-ID: one", "X-Request-ID: two", url=url))
            assert responses(connection, 1)[0][1]["x-request-id"] == "one"


def test_lost_connections_are_let_go(model: FakeModel, digits: Digits) -> None:
    """Those that leave while they wait, and those that were answered; but for collections, which are rare here."""
    with serving(model) as port:
        model.released.clear()
        gone = [connect(port) for _ in range(20)]
        for connection in gone:
            connection.sendall(request(encoded(digits[0][0])))
        time.sleep(0.2)
        gc.collect()
        gc.disable()
        try:
            for connection in gone:
                connection.close()
            model.released.set()
            with connect(port) as connection:
                connection.sendall(request(encoded(digits[0][0])))
                assert responses(connection, 1)[0][0] == "HTTP/1.1 200 OK"
            time.sleep(0.2)
            left = sum(isinstance(one, ShortCutProtocol) for one in gc.get_objects())
        finally:
            gc.enable()
    assert left <= 1
