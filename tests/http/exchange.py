"""What one connection brings back: bytes → answers in order, and whether the connection stays open."""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from tests.http.cases import Case, Door

Address = tuple[str, int]
PAUSE_S = 0.01
SILENCE_S = 3.0
"""An answer that takes longer is missing."""
PROBE_ID = "probe"
PROBE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: %b\r\n\r\n" % PROBE_ID.encode()


@dataclass(frozen=True)
class Answer:
    """One HTTP/1.1 response."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "")


@dataclass
class Outcome:
    """What came back before the probe's answer."""

    answers: list[Answer] = field(default_factory=list)
    end: str = "silent"
    """`open` when a request sent behind everything else was answered last, `closed` when the server closed the
    connection, `silent` when neither happened."""

    @property
    def statuses(self) -> str:
        return " ".join(str(answer.status) for answer in self.answers)

    @property
    def answered(self) -> int:
        """How many requests have their answer, the probe too."""
        return sum(answer.status >= 200 for answer in self.answers) + (self.end == "open")


def exchange(
    address: Address, case: Case, door: Door, before: Sequence[bytes] = (), size: int | None = None
) -> Outcome:
    """Sends a case in a connection of its own.

    `before` are requests with an answer each, sent first and awaited; `size` is how many bytes are sent at once.
    Behind the case a probe is sent: its answer shows that the server has read just what the case holds.
    """
    outcome = Outcome()
    with socket.create_connection(address, timeout=SILENCE_S) as connection, connection.makefile("rb") as file:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in before:
            connection.sendall(request)
            assert (answer := read_answer(file)) is not None
            assert answer.status == 200, answer
        with suppress(ConnectionError):
            for number, piece in enumerate(case.pieces(door)):
                time.sleep(PAUSE_S if number else 0)
                step = size or len(piece) or 1
                for start in range(0, len(piece), step):
                    connection.sendall(piece[start : start + step])
            if case.half_closes:
                connection.shutdown(socket.SHUT_WR)
            else:
                connection.sendall(PROBE)
        read_answers(file, case.is_head, outcome)
    return outcome


def read_answers(file: BinaryIO, is_head: bool, outcome: Outcome) -> None:
    """Reads until the probe's answer, or the connection's end."""
    try:
        while (answer := read_answer(file, is_head)) is not None:
            if answer.request_id == PROBE_ID:
                outcome.end = "open"
                return
            outcome.answers.append(answer)
        outcome.end = "closed"
    except ConnectionError:
        outcome.end = "closed"
    except TimeoutError:
        outcome.end = "silent"


def read_answer(file: BinaryIO, is_head: bool = False) -> Answer | None:
    """The next response; None at the connection's end, or where it is no HTTP/1 any more.

    `is_head`: it has no body, unless it is the probe's.
    """
    if not (line := file.readline()).startswith(b"HTTP/1."):
        return None
    headers: dict[str, str] = {}
    while (field_line := file.readline()) not in (b"\r\n", b""):
        name, _, value = field_line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    status = int(line.split()[1])
    if status < 200 or status in (204, 304) or (is_head and headers.get("x-request-id") != PROBE_ID):
        return Answer(status, headers, b"")
    if "content-length" in headers:
        return Answer(status, headers, file.read(int(headers["content-length"])))
    if headers.get("transfer-encoding") == "chunked":
        return Answer(status, headers, b"".join(read_chunks(file)))
    return Answer(status, headers, file.read())


def read_chunks(file: BinaryIO) -> list[bytes]:
    """The data of all chunks; trailers are passed over."""
    found = []
    while size := int(file.readline().split(b";")[0], 16):
        found.append(file.read(size))
        file.readline()
    while file.readline() not in (b"\r\n", b""):
        pass
    return found
