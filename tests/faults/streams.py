"""Rows: heads without end, clients that neither send nor read, and connections without number."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial

from tests.faults.files import MB
from tests.faults.probe import Seen
from tests.faults.rows import TAKEN_MB, Check, Conditions, Row, beside_a_probe, hostile, others_wait
from tests.faults.service import DOORS, LIVE, PREDICT, UPLOAD, Address, ask, connect, post
from tests.serving.sockets import responses

LET_GO_S = 11.5
"""The default timeout and its slack."""
WATCHED_S = 14
EACH = 5
ROUND = PREDICT + post(UPLOAD, DOORS[1]) + LIVE
PIPELINED = ROUND * (62 * MB // len(ROUND))
HEAD = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"


def send_all(address: Address, content: bytes, give_up_s: float = 10) -> socket.socket:
    """A connection that has sent so much of it as the service takes, and reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(give_up_s)
    connection.connect(address)
    with suppress(OSError):
        connection.sendall(content)
    return connection


def first_status(connection: socket.socket) -> int:
    """Of the answer; 0 where there is none."""
    connection.settimeout(5)
    try:
        return int(responses(connection, 1)[0][0].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def endless(head: Callable[[], bytes], expected: int) -> Row:
    """A head of 20 MB at four connections: it is refused with this status."""

    def load(content: bytes, address: Address) -> int:
        wrong = 0
        for _ in range(4):
            with send_all(address, content) as connection:
                wrong += first_status(connection) != expected
        return wrong

    return hostile(
        lambda: partial(load, head()),
        lambda seen: [Check(f"not answered with {expected}", seen.result, 0)],
        taken_mb=TAKEN_MB,
    )


def pipelined(address: Address) -> None:
    """62 MB of requests whose answers nobody reads."""
    with send_all(address, PIPELINED, give_up_s=3):
        time.sleep(1)


def silent(address: Address) -> float:
    """2,000 connections that say nothing; how many of them are still open when all should be closed."""
    connections = []
    with ExitStack() as stack:
        for _ in range(2000):
            connections.append(stack.enter_context(connect(address)))
        time.sleep(LET_GO_S)
        return sum(is_open(connection) for connection in connections)


def is_open(connection: socket.socket) -> bool:
    """Whether the service has not closed it; what it has sent is thrown away."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


SLOW: dict[str, tuple[bytes, bytes]] = {
    "silence": (b"", b""),
    "half a head": (b"GET / HTT", b""),
    "a header a second": (HEAD, b"X: 1\r\n"),
    "line ends": (b"", b"\r\n"),
    "a body behind 413": (post(b"", DOORS[1]).replace(b"Length: 0", b"Length: 90000000"), b"x" * 100),
    "a body behind 404": (post(b"", "/nowhere").replace(b"Length: 0", b"Length: 9000000"), b"x" * 100),
}
"""What a slow client sends at once, and then each second."""


def slow_clients(address: Address) -> dict[str, float]:
    """Seconds until the last connection of each kind is closed; each is a connection's first request, or its second."""
    waiting: list[tuple[str, socket.socket]] = []
    closed_after = dict.fromkeys(SLOW, 0.0)
    with ExitStack() as stack:
        for kind, (sent, _) in SLOW.items():
            for first in [b"", *(post(UPLOAD, door) for door in DOORS)] * EACH:
                connection = stack.enter_context(connect(address))
                if first:
                    connection.sendall(first)
                    responses(connection, 1)
                connection.sendall(sent)
                waiting.append((kind, connection))
        started = time.monotonic()
        while waiting and (passed := time.monotonic() - started) < WATCHED_S:
            time.sleep(max(0.0, round(passed) + 1 - passed))
            for kind, connection in waiting:
                with suppress(OSError):
                    connection.sendall(SLOW[kind][1])
            still = [(kind, connection) for kind, connection in waiting if is_open(connection)]
            closed_after.update({kind: time.monotonic() - started for kind, one in set(waiting) - set(still)})
            waiting = still
        closed_after.update({kind: float("inf") for kind, _ in waiting})
    return closed_after


def slow_row(conditions: Conditions) -> list[Check]:
    with conditions.checkout.serving() as service:
        seen = beside_a_probe(service, slow_clients)
    let_go = [Check(f"{kind}: closed after", seconds, LET_GO_S + 1, "s") for kind, seconds in seen.result.items()]
    return [*let_go, *others_wait(seen)]


def descriptors(conditions: Conditions) -> list[Check]:
    """300 clients that each ask and stay, of a service that may open 128 files; then one that comes later."""
    with conditions.checkout.serving(descriptors=128) as service, ExitStack() as stack:
        connections, lost = [], 0
        for _ in range(300):
            connections.append(stack.enter_context(connect(service.address(), 10)))
            with suppress(OSError):
                connections[-1].sendall(PREDICT)
        for connection in connections:
            lost += first_status(connection) not in (200, 503)
        for connection in connections:
            connection.close()
        started = time.monotonic()
        ask(service.address())
        after_s = time.monotonic() - started
    return [Check("not answered", lost, 0), Check("answers again after", after_s, 1.5, "s")]


def still_open(seen: Seen) -> list[Check]:
    return [Check(f"still open after {LET_GO_S} s", seen.result, 0)]


STREAMS: dict[str, Row] = {
    "20 MB of header lines, 4 clients": endless(lambda: HEAD + b"X-Header: value\r\n" * (20 * MB // 17), 431),
    "a URL of 20 MB, 4 clients": endless(lambda: b"GET /" + b"u" * 20 * MB, 414),
    "62 MB of pipelined requests, no answer read": hostile(lambda: pipelined, taken_mb=TAKEN_MB),
    "2,000 silent connections": hostile(lambda: silent, still_open, taken_mb=TAKEN_MB),
    "slow clients, first and second request, both doors": slow_row,
    "128 descriptors, 300 clients": descriptors,
}
