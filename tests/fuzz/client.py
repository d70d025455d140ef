"""A client that keeps its connection, many of them at once, and one that asks what it knows the answers of."""

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

from tqdm import tqdm

from tests.fuzz.findings import Findings
from tests.http.exchange import Address, Answer, read_answer

TIMEOUT_S = 15.0
"""More than the service takes to say that it took too long."""
TOLERANCE = 2e-5
"""By how much numbers differ between batches of different sizes."""
IN_FLIGHT = 8
"""Requests at a time: as many as may wait for one decoder process, so that none is refused."""


class NoAnswer(Exception):
    """The server closed the connection, or said nothing in time."""


class Client:
    """One connection, opened again when the server has closed it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._file: BinaryIO | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, target: str, body: bytes) -> Answer:
        """POST; raises NoAnswer."""
        request = post(target, body)
        fresh = self._socket is None
        answer = self._exchange(request)
        if answer is None and not fresh:  # the server had let go of the idle connection
            answer = self._exchange(request)
        if answer is None:
            raise NoAnswer("the connection was closed without an answer")
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        """Lets go of the connection."""
        for one in (self._file, self._socket):
            if one is not None:
                one.close()
        self._file = self._socket = None

    def _exchange(self, request: bytes) -> Answer | None:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=TIMEOUT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._file = self._socket.makefile("rb")
        assert self._file is not None
        try:
            self._socket.sendall(request)
            answer = read_answer(self._file)
        except TimeoutError:
            self.close()
            raise NoAnswer(f"no answer within {TIMEOUT_S:g} s") from None
        except ConnectionError:
            answer = None
        if answer is None:
            self.close()
        return answer


def post(target: str, body: bytes) -> bytes:
    """The request's bytes."""
    return f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def fields_of(answer: Answer) -> Any:
    """What its JSON says."""
    return json.loads(answer.body)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values agree, numbers within `TOLERANCE`."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=TOLERANCE)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


def for_each(count: int, title: str, address: Address, work: Callable[[int, Client], None]) -> None:
    """Calls `work` with the numbers below `count`, `IN_FLIGHT` at a time, each with a thread's own client."""
    own = threading.local()
    clients: list[Client] = []

    def call(number: int) -> None:
        if not hasattr(own, "client"):
            own.client = Client(address)
            clients.append(own.client)
        work(number, own.client)

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for _ in tqdm(pool.map(call, range(count)), title, count, mininterval=10, disable=None):
            pass
    for client in clients:
        client.close()


@dataclass
class Observer:
    """Asks the same digits over and over in a connection of its own, and compares each answer with the known one."""

    address: Address
    known: list[tuple[bytes, Any]]
    """Bodies, and what `/predict` says of each."""
    findings: Findings
    max_s: float = 2.0
    """An answer that takes longer is a failure."""
    slowest_s: float = 0.0
    asked: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Asks until `stop`."""
        with Client(self.address) as client:
            while not self._over.wait(0.002):
                self._ask(client, *self.known[self.asked % len(self.known)])

    def _ask(self, client: Client, body: bytes, known: Any) -> None:
        started, complaint = time.perf_counter(), ""
        try:
            answer = client.ask("/predict", body)
            if not same(fields_of(answer), known):
                complaint = f"a clean digit gets {answer.status} {answer.body!r}"
        except NoAnswer as error:
            complaint = f"a clean digit: {error}"
        took = time.perf_counter() - started
        if took > self.max_s:
            complaint = complaint or f"a clean digit takes {took:.1f} s"
        self.slowest_s = max(self.slowest_s, took)
        self.findings.fail(self.asked, [f"observer: {complaint}"] if complaint else [], post("/predict", body))
        self.asked += 1

    def stop(self) -> None:
        self._over.set()

    def summary(self) -> dict[str, object]:
        """For the run's JSON document."""
        return {"clean_beside": self.asked, "clean_slowest_ms": round(self.slowest_s * 1000, 1)}


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Runs the observer in a thread."""
    thread = threading.Thread(target=observer.watch)
    thread.start()
    try:
        yield
    finally:
        observer.stop()
        thread.join()
