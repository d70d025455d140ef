"""Clients that send nothing more, and wait for what they have asked (RFC 9112, section 9.6)."""

import json
import socket

import pytest

from serving.http.front import Front
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.fakes import expected_digit
from tests.serving.sockets import connect, request, responses

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = "HTTP/1.1 200 OK"
DOORS = ["/predict", "/predict?debug=true"]


@pytest.mark.parametrize("url", DOORS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_client_that_half_closes_is_answered(port: int, digits: Digits, url: str, count: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"".join(request(encoded(image), url=url) for image in digits[0][:count]))
        connection.shutdown(socket.SHUT_WR)
        for (status, _, content), image in zip(responses(connection, count), digits[0][:count], strict=True):
            assert (status, json.loads(content)["digit"]) == (OK, expected_digit(image))
        assert connection.recv(1) == b""


def test_a_half_close_between_an_answer_and_the_next_request(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """At that moment no request is under way, and the next one waits in the buffer."""
    kept, on_through = [], Front._on_through

    def close_half(front: Front) -> None:
        on_through(front)
        kept.append(front.eof_received())

    monkeypatch.setattr(Front, "_on_through", close_half)
    with connect(port) as connection:
        connection.sendall(LIVE * 3)
        assert [status for status, _, _ in responses(connection, 3)] == [OK] * 3
    assert kept == [True, True, False]


@pytest.mark.parametrize("url", DOORS)
@pytest.mark.parametrize("rest", [b"GET / HT", request(b"body")[:-2]])
def test_half_a_request_before_a_half_close_is_dropped(port: int, digits: Digits, url: str, rest: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(request(encoded(digits[0][0]), url=url) + rest)
        connection.shutdown(socket.SHUT_WR)
        assert responses(connection, 1)[0][0] == OK
        assert connection.recv(1) == b""
