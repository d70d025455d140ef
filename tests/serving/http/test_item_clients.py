"""Clients of the index that leave, do not read, or come all at once; over plain sockets."""

import json
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.index.memory import NeighborIndex
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.fakes import FakeModel
from tests.serving.sockets import connect, reset_when_closed, responses, serving


def send(port: int, method: str, target: str, body: bytes = b"") -> socket.socket:
    connection = connect(port)
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def status(connection: socket.socket) -> int:
    with connection:
        return int(responses(connection, 1)[0][0].split()[1])


def holds_soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def picture(digits: Digits) -> bytes:
    return encoded(digits[0][0])


def test_who_leaves_before_the_write_begins_has_written_nothing(picture: bytes, tmp_path: Path) -> None:
    path = tmp_path / "index" / "fake.sqlite"
    with serving(FakeModel(), request_timeout_s=10) as port:
        assert status(send(port, "PUT", "/index/items/first", picture)) == 201
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            begun = send(port, "PUT", "/index/items/begun", picture)
            time.sleep(0.3)
            for name in ("gone", "gone too"):
                leaver = send(port, "PUT", f"/index/items/{name.replace(' ', '%20')}", picture)
                time.sleep(0.2)
                reset_when_closed(leaver)
                leaver.close()
            time.sleep(0.3)
            other.execute("ROLLBACK")
        assert status(begun) == 201
        assert status(send(port, "PUT", "/index/items/last", picture)) == 201
        with send(port, "GET", "/index/items?source=user") as connection:
            listed = json.loads(responses(connection, 1)[0][2])["items"]
        assert [one["id"] for one in listed] == ["begun", "first", "last"]


def many(count: int) -> NeighborIndex:
    ids = [f"{number:07}" for number in range(count)]
    return NeighborIndex(
        ids, np.tile(np.eye(4, dtype=np.float32), (count // 4, 1)), ["x"] * count, np.ones(count, np.bool_)
    )


def test_answers_that_nobody_reads_are_bounded_and_end() -> None:
    """Each takes 1.6 MB of memory as long as it is sent."""
    limits: dict[str, Any] = {"max_bodies_bytes": 4_000_000, "client_timeout_s": 1}
    with serving(FakeModel(), index=many(100_000), **limits) as port, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(send(port, "GET", "/index/embeddings"))
        time.sleep(0.5)
        assert status(send(port, "GET", "/index/embeddings")) == 503
        assert status(send(port, "GET", "/health/live")) == 200

        def is_answered() -> bool:
            with send(port, "GET", "/index/embeddings") as connection:
                return connection.recv(12) == b"HTTP/1.1 200"

        holds_soon(is_answered)


def test_who_leaves_in_the_middle_of_an_answer_frees_what_it_held() -> None:
    with serving(FakeModel(), index=many(100_000), max_bodies_bytes=1_000_000) as port:
        for _ in range(3):
            with send(port, "GET", "/index/embeddings") as connection:
                assert connection.recv(12) == b"HTTP/1.1 200", "one alone is always sent"
                reset_when_closed(connection)
            time.sleep(0.3)
        with send(port, "GET", "/index/embeddings") as connection, connection.makefile("rb") as file:
            assert file.readline() == b"HTTP/1.1 200 OK\r\n"


def test_many_writers_at_once_are_all_told_the_truth(picture: bytes) -> None:
    with serving(FakeModel(), request_timeout_s=10, max_queue_size=256) as port:
        sent = [send(port, "PUT", f"/index/items/{number}", picture) for number in range(200)]
        statuses = [status(connection) for connection in sent]
        with send(port, "GET", "/index") as connection:
            items = json.loads(responses(connection, 1)[0][2])["items"]
        assert items == statuses.count(201)
        assert set(statuses) <= {201, 503}
        assert statuses.count(201) > 50
