"""What a client may not do: stay silent, send too much, or hold more than its share."""

import json
import logging
import socket
import time
from contextlib import ExitStack, suppress

import pytest

from serving.http.connection import IDLE_S, most_connections
from serving.http.heads import MAX_HEAD_BYTES
from tests.conftest import Digits
from tests.pictures.uploads import encoded, enlarged
from tests.serving.fakes import LIMIT, FakeModel, expected_digit
from tests.serving.sockets import connect, request, responses, serving

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK, BUSY = "HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable"
DOORS = ["/predict", "/predict?debug=true"]


def seconds_until_closed(connection: socket.socket, trickle: bytes = b"") -> float:
    """How long the connection lives, while a byte of `trickle` is sent every 0.1 s."""
    started = time.perf_counter()
    connection.settimeout(0.1)
    with suppress(ConnectionError):
        for number in range(100):
            if trickle:
                connection.sendall(trickle[number % len(trickle) :][:1])
            with suppress(TimeoutError):
                while connection.recv(1000):
                    pass
                break
    return time.perf_counter() - started


@pytest.mark.parametrize("first", [b"", LIVE, request(b"no image"), request(b"no image", url="/predict?debug=true")])
@pytest.mark.parametrize(
    ("sent", "trickle"),
    [(b"", b""), (b"GET / HTT", b""), (b"GET / HTTP/1.1\r\n", b"X: 1\r\n"), (b"", b"\r\n")],
    ids=["silent", "half a head", "a header now and then", "line ends"],
)
def test_a_client_is_not_waited_for_for_ever(first: bytes, sent: bytes, trickle: bytes) -> None:
    with serving(client_timeout_s=0.5) as port, connect(port) as connection:
        if first:
            connection.sendall(first)
            responses(connection, 1)
        connection.sendall(sent)
        assert 0.3 < seconds_until_closed(connection, trickle) < 1.5


def test_half_a_head_is_told_that_it_is_late() -> None:
    with serving(client_timeout_s=0.3) as port, connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX")
        assert responses(connection, 1)[0][0] == "HTTP/1.1 408 Request Timeout"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n", 404),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1), 413),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", 408),
        (b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", 404),
    ],
)
def test_a_body_that_trickles_behind_its_answer_is_not_waited_for(head: bytes, status: int) -> None:
    with serving(client_timeout_s=0.5, request_timeout_s=0.5) as port, connect(port) as connection:
        connection.sendall(head)
        assert int(responses(connection, 1)[0][0].split()[1]) == status
        assert seconds_until_closed(connection, b"") < 1.5


def test_the_oldest_idle_connection_makes_room(model: FakeModel, digits: Digits) -> None:
    with serving(model, max_connections=4) as port, ExitStack() as stack:
        first, second, *others = [stack.enter_context(connect(port)) for _ in range(4)]
        for connection in (second, first, *others):
            connection.sendall(LIVE)
            responses(connection, 1)
            time.sleep(0.01)
        with connect(port) as too_early:  # requests of the others may be on their way
            assert responses(too_early, 1)[0][0] == BUSY
        time.sleep(IDLE_S)
        newest = stack.enter_context(connect(port))
        for connection in (first, newest, *others):
            connection.sendall(LIVE)
            assert responses(connection, 1)[0][0] == OK
        with suppress(ConnectionError):
            assert second.recv(1) == b""


def test_connections_beyond_the_bound_are_turned_away(model: FakeModel, digits: Digits) -> None:
    """Where all others are busy; those are answered."""
    with serving(model, max_connections=4) as port, ExitStack() as stack:
        model.released.clear()
        busy = [stack.enter_context(connect(port)) for _ in range(4)]
        for number, connection in enumerate(busy):
            connection.sendall(request(encoded(digits[0][number]), url=DOORS[number % 2]))
        time.sleep(0.2)
        with connect(port) as one_more:
            status, headers, _ = responses(one_more, 1)[0]
            assert (status, headers["retry-after"], one_more.recv(1)) == (BUSY, "1", b"")
        model.released.set()
        for number, connection in enumerate(busy):
            assert json.loads(responses(connection, 1)[0][2])["digit"] == expected_digit(digits[0][number])


def test_the_bound_on_connections_follows_the_descriptors(caplog: pytest.LogCaptureFixture) -> None:
    assert most_connections(10) == 10
    assert caplog.text == ""
    assert 0 < most_connections(1 << 30) < 1 << 30
    assert "connections at once instead of" in caplog.text


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_in_flight_are_bounded_together(model: FakeModel, digits: Digits, chunked: bool) -> None:
    body = encoded(enlarged(digits[0][0]), "BMP")
    url = DOORS[1]
    whole = request(body, url=url)
    if chunked:
        head = f"POST {url} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        whole = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with serving(model, max_bodies_bytes=len(body) * 3) as port, ExitStack() as stack:
        model.released.clear()
        connections = [stack.enter_context(connect(port)) for _ in range(5)]
        for connection in connections:
            connection.sendall(whole)
            time.sleep(0.2)
        assert [responses(one, 1)[0][0] for one in connections[3:]] == [BUSY] * 2
        model.released.set()
        assert [responses(one, 1)[0][0] for one in connections[:3]] == [OK] * 3
        for connection in connections[:3]:  # and what they held is free again
            connection.sendall(whole)
            assert responses(connection, 1)[0][0] == OK


def test_a_target_without_end_is_refused(port: int) -> None:
    with connect(port) as connection:
        with suppress(ConnectionError):
            connection.sendall(b"GET /" + b"x" * MAX_HEAD_BYTES)
        assert responses(connection, 1)[0][0].startswith("HTTP/1.1 414 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked", 501),
        ("POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked", 400),
        ("GET /health/live HTTP/2.0\r\nHost: localhost", 505),
        ("OPTIONS * RTSP/1.0\r\nHost: localhost", 400),
        ("GET http://localhost/health/live HTTP/1.1\r\nHost: localhost", 200),
        ("GET http://evil.example/health/live HTTP/1.1\r\nHost: localhost", 400),
        ("GET /health/live?to=http://evil.example HTTP/1.1\r\nHost: localhost", 200),
        ("GET /health/live HTTP/1.0", 200),
        ("POST /predict/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0", 404),
    ],
)
def test_heads_that_llhttp_takes_are_judged_by_rfc_9112(port: int, head: str, status: int) -> None:
    with connect(port) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n")
        answer = responses(connection, 1)[0]
        assert int(answer[0].split()[1]) == status
        assert "location" not in answer[1]


def test_trailers_are_no_header_fields(port: int, digits: Digits) -> None:
    body = encoded(digits[0][0])
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailers = b"Host: evil.example\r\nX-Request-ID: from-a-trailer\r\nX-Request-ID: twice\r\n"
    with connect(port) as connection:
        connection.sendall(head + b"%x;a=b\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers))
        status, headers, _ = responses(connection, 1)[0]
        assert status == OK
        assert len(headers["x-request-id"]) == 32


@pytest.mark.parametrize("url", DOORS)
def test_a_failed_request_is_logged_in_one_line(port: int, caplog: pytest.LogCaptureFixture, url: str) -> None:
    caplog.set_level(logging.INFO, "serving")
    with connect(port) as connection:
        connection.sendall(request(b"no image", "X-Request-ID: mine", url=url) + b"nonsense\r\n\r\n")
        responses(connection, 2)
    first, second = caplog.records
    assert (first.levelname, first.request_id) == ("INFO", "mine")  # type: ignore[attr-defined]
    assert first.message.startswith("415 send one of PNG")
    assert second.message.startswith("400 this is no HTTP/1.1")
