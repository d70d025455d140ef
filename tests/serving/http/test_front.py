"""The short cut gives what FastAPI's routes give, to well-behaved clients and to others."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from serving.http import front
from serving.http.answers import FORMATS
from serving.http.gate import Gate
from tests.conftest import Digits
from tests.pictures.uploads import encoded, enlarged
from tests.serving.fakes import LIMIT, FakeModel, expected_digit
from tests.serving.sockets import connect, request, reset_when_closed, responses, serving


@pytest.fixture
def shortest(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client


def test_it_answers_what_fastapi_would(shortest: httpx.Client, client: TestClient, digits: Digits) -> None:
    png = encoded(digits[0][0])
    bodies: list[dict[str, object]] = [
        {"content": png},
        {"files": {"file": png}},
        {"content": encoded(enlarged(digits[0][1]), "JPEG")},
        {"content": encoded(np.concatenate(digits[0][:3], axis=1).repeat(8, 0).repeat(8, 1))},
        {"content": png, "headers": {"Accept": "application/octet-stream"}},
        {"content": png, "headers": [("Accept", "application/json"), ("Accept", "application/octet-stream")]},
        {"content": b""},
        {"content": b"no image"},
        {"content": png[:-40]},
        {"files": {"image": png}},
        {"content": b"x" * (LIMIT + 1)},
    ]
    urls = ["/predict", "/predict?embedding=true", "/embed", "/search", "/search?k=2", "/search?k=100"]
    assert {url.encode() for url in urls} <= set(FORMATS)
    for url in urls:
        for body in bodies:
            short, long = shortest.post(url, **body), client.post(url, **body)  # type: ignore[arg-type]
            assert (short.status_code, short.content) == (long.status_code, long.content)
            assert {*long.headers} <= {*short.headers}
            assert short.headers["content-type"] == long.headers["content-type"]
    counts = [line for line in shortest.get("/metrics").text.splitlines() if line.startswith("fewlabel_requests_total")]
    long_counts = client.get("/metrics").text
    assert all(line in long_counts for line in counts if 'route="/metrics"' not in line)


def test_it_is_taken(shortest: httpx.Client, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    def unused(*_: object) -> None:
        raise AssertionError("went through FastAPI")

    monkeypatch.setattr(Gate, "__call__", unused)
    for image in digits[0][:10]:
        assert shortest.post("/predict", content=encoded(image)).json()["digit"] == expected_digit(image)


def test_pipelined_requests_are_answered_in_order(port: int, digits: Digits) -> None:
    """Short cuts, ordinary requests and a failure, all sent at once."""
    sent = b"".join(
        request(encoded(image)) + b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" + request(b"no image")
        for image in digits[0][:8]
    )
    with connect(port) as connection:
        connection.sendall(sent)
        answers = responses(connection, 24)
    for number, image in enumerate(digits[0][:8]):
        predicted, live, refused = answers[3 * number : 3 * number + 3]
        assert json.loads(predicted[2])["digit"] == expected_digit(image)
        assert json.loads(live[2]) == {"status": "live"}
        assert refused[0] == "HTTP/1.1 415 Unsupported Media Type"


def test_a_request_may_arrive_in_any_pieces(port: int, digits: Digits) -> None:
    for size, pause_s in ((1, 0.0002), (7, 0.005), (100, 0.0), (200, 0.15)):
        sent = request(encoded(digits[0][0]))
        with connect(port) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(sent), size):
                connection.sendall(sent[start : start + size])
                time.sleep(pause_s)
            ((status, _, body),) = responses(connection, 1)
        assert status == "HTTP/1.1 200 OK"
        assert json.loads(body)["digit"] == expected_digit(digits[0][0])


def test_many_small_chunks_cost_no_more_than_their_bytes(port: int) -> None:
    """Chunked bodies of single bytes, or of empty lines alone: what is refused is refused at once."""
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    lines = b"\r\n" * 100_000
    for body, status in ((b"1\r\nx\r\n" * 150_000, 415), (b"%x\r\n%b\r\n" % (len(lines), lines) * 20, 413)):
        with connect(port) as connection:
            started = time.perf_counter()
            connection.sendall(head + body + b"0\r\n\r\n" + request(b"no image"))
            assert [int(one.split()[1]) for one, _, _ in responses(connection, 2)] == [status, 415]
        assert time.perf_counter() - started < 3


@pytest.mark.parametrize("url", ["/nowhere", "/predict"])
@pytest.mark.parametrize("chunks", [b"1\r\na\r\n", b"4\r\n\r\n\r\n\r\n", b"a\r\nx\r\n\r\nx\r\n\r\n\r\n"])
def test_small_chunks_keep_no_one_waiting(url: str, chunks: bytes) -> None:
    """The loop reads little at once, whether their request is refused already or not."""
    waits, many = [], chunks * (500_000 // len(chunks))
    with serving(max_upload_bytes=100_000_000) as port, connect(port) as hostile, connect(port) as other:

        def send() -> None:
            with suppress(OSError):
                hostile.sendall(f"POST {url} HTTP/1.1\r\nHost: localhost\r\n".encode())
                hostile.sendall(b"Transfer-Encoding: chunked\r\n\r\n" + many * 20)

        sender = threading.Thread(target=send)
        sender.start()
        started = time.perf_counter()
        while time.perf_counter() < started + 1.5:
            begun = time.perf_counter()
            other.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            responses(other, 1)
            waits.append(time.perf_counter() - begun)
        hostile.shutdown(socket.SHUT_RDWR)
        sender.join()
    assert max(waits) < 0.25  # seconds for whole buffers


@pytest.mark.parametrize(("version", "header"), [("1.1", "Connection: close"), ("1.0", "Accept: */*")])
def test_connections_close_when_asked(port: int, digits: Digits, version: str, header: str) -> None:
    with connect(port) as connection:
        connection.sendall(request(encoded(digits[0][0]), header, version=version))
        ((status, headers, _),) = responses(connection, 1)
        assert status.endswith("200 OK")
        assert headers["connection"] == "close"
        assert connection.recv(1) == b""
    with connect(port) as connection:
        connection.sendall(request(b"", header, version=version))
        assert responses(connection, 1)[0][1]["connection"] == "close"
        assert connection.recv(1) == b""


def test_what_nobody_waits_for_is_not_computed(port: int, model: FakeModel, digits: Digits) -> None:
    model.released.clear()
    body = encoded(digits[0][0])
    with connect(port) as first, connect(port) as last:
        first.sendall(request(body))
        time.sleep(0.1)  # its batch runs
        with connect(port) as gone:
            gone.sendall(request(body))
            last.sendall(request(body))
            time.sleep(0.1)
            reset_when_closed(gone)
        time.sleep(0.1)
        model.released.set()
        assert responses(first, 1)[0][0] == responses(last, 1)[0][0] == "HTTP/1.1 200 OK"
    assert model.batches == [1, 1]


def test_ids_are_echoed_when_they_are_harmless(port: int, digits: Digits) -> None:
    body = encoded(digits[0][0])
    sent = ["mine-42", "x" * 200, "bell\x07", "ä"]
    with connect(port) as connection:
        connection.sendall(b"".join(request(body, f"X-Request-ID: {one}") for one in sent[:2] + sent[3:]))
        ids = [headers["x-request-id"] for _, headers, _ in responses(connection, 3)]
    assert ids[0] == "mine-42"
    assert len({*ids}) == 3
    assert all(len(one) == 32 for one in ids[1:])


def test_a_failing_model_is_told_and_forgotten(shortest: httpx.Client, model: FakeModel, digits: Digits) -> None:
    body = encoded(digits[0][0])
    model.error = RuntimeError("cosmic ray")
    assert shortest.post("/predict", content=body).json()["detail"] == "the model failed; the server's log tells more"
    model.error = None
    assert shortest.post("/predict", content=body).status_code == 200


def test_many_at_once_get_their_own(port: int, digits: Digits) -> None:
    """64 connections, each with 10 pipelined images."""
    images = digits[0][:640].reshape(64, 10, 28, 28)
    connections = [connect(port) for _ in images]
    for connection, mine in zip(connections, images, strict=True):
        connection.sendall(b"".join(request(encoded(image)) for image in mine))
    for connection, mine in zip(connections, images, strict=True):
        with connection:
            answered = [json.loads(body)["digit"] for _, _, body in responses(connection, 10)]
        assert answered == [expected_digit(np.asarray(image)) for image in mine]


def test_a_damaged_body_behind_its_answer_ends_the_connection(port: int) -> None:
    """Where the next request begins cannot be told any more."""
    with connect(port) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert responses(connection, 1)[0][0] == "HTTP/1.1 404 Not Found"
        connection.sendall(b"ZZ\r\n")
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "one",
    [
        request(b"no image", f"X: {'x' * 400}"),
        b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n" % (b"x" * 9000),
    ],
)
def test_a_client_that_does_not_read_is_not_read_from(one: bytes) -> None:
    """And gets all its answers when it reads again, however long that took."""
    with serving() as port, connect(port) as connection:
        sent, limit, stuck = 0, 20_000_000, 0
        connection.setblocking(False)
        while sent < limit and stuck < 15:
            try:
                sent, stuck = sent + connection.send((one * 1000)[sent % len(one) :]), 0
            except BlockingIOError:
                stuck += 1
                time.sleep(0.1)
        assert sent < limit
        connection.settimeout(10)
        answered, last = 0, b""
        while answered < sent // len(one):
            data = last + connection.recv(1 << 20)
            answered, last = answered + data.count(b"HTTP/1.1 "), data[-8:]
            assert len(data) > 8


def test_a_connection_in_the_middle_of_a_request_is_not_idle(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "PATIENCE_S", 1)
    sent = request(encoded(digits[0][0]))
    with serving(client_timeout_s=1) as port, connect(port) as connection:
        time.sleep(0.6)
        connection.sendall(sent[:-10])
        time.sleep(0.7)
        connection.sendall(sent[-10:])
        assert responses(connection, 1)[0][0] == "HTTP/1.1 200 OK"
