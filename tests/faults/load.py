"""Requests at set times, whether or not earlier ones were answered: each by a connection that is free, or a new one."""

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.probe import percentile
from tests.faults.service import Address

ANSWER_TIMEOUT_S = 30
TICK_S = 0.001
"""Between two looks at what is due."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One request."""

    due_s: float
    """From the load's start."""
    took_s: float
    """From then on, however late it was sent."""
    status: int
    """0 where no answer came."""
    head: bytes
    body: bytes

    @property
    def busy(self) -> bool:
        return self.status == 503 and b"retry-after: " in self.head.lower()


class Client(asyncio.Protocol):
    """One connection with one request at a time; `done` is given status, head and body."""

    def __init__(self, done: Callable[["Client", int, bytes, bytes], None]) -> None:
        self._done = done
        self._received = b""
        self.due_s = 0.0
        self.asked = 0
        self.busy = False
        self.fresh = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def ask(self, number: int, request: bytes, due_s: float) -> None:
        self.asked, self.due_s, self.busy = number, due_s, True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0"):
            self._received, self.busy, self.fresh = b"", False, False
            self._done(self, int(head[9:12]), head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.busy:
            self.busy = False
            self._done(self, 0, b"", b"")


class OpenLoop:
    """Sends `requests`, over and over, `rate` of them a second; `run` returns when all of them are answered.

    Where a connection that was used before ends without a byte of the answer, the request is sent once more by a new
    one, as HTTP clients do with what may be repeated (RFC 9112, section 9.3.1): a server may close an idle connection
    at the moment at which it is used again.

    Args:
        on_answer: called with the number of the request among `requests` and what came.
        connections: opened before the first request and used in turn, and no others: while all are busy requests wait.
            0 for as many as it takes; the one last used is taken first.
    """

    def __init__(
        self,
        address: Address,
        requests: list[bytes],
        rate: float,
        on_answer: Callable[[int, Answered], None],
        connections: int = 0,
    ) -> None:
        self._address, self._requests, self._interval_s = address, requests, 1 / rate
        self._on_answer = on_answer
        self._connections = connections
        self._free: deque[Client] = deque()
        self._late: deque[tuple[int, float]] = deque()  # number and moment of requests that wait for a connection
        self._waiting = 0
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        for _ in range(self._connections):
            self._free.append(await self._connect())
        self._started = time.perf_counter()
        sent, count = 0, math.ceil(seconds / self._interval_s)
        while sent < count:
            due = min(count, math.floor(self._now() / self._interval_s) + 1)
            for number in range(sent, due):
                self._send(number % len(self._requests), number * self._interval_s)
            sent = max(sent, due)
            await asyncio.sleep(TICK_S)
        deadline = self._now() + ANSWER_TIMEOUT_S
        while self._waiting and self._now() < deadline:
            await asyncio.sleep(TICK_S)
        for client in self._free:
            client.transport.close()

    def _now(self) -> float:
        return time.perf_counter() - self._started

    def _send(self, number: int, due_s: float) -> None:
        self._waiting += 1
        while self._free:
            client = self._free.popleft() if self._connections else self._free.pop()
            if not client.transport.is_closing():
                client.ask(number, self._requests[number], due_s)
                return
        if self._connections and self._waiting > self._connections:
            self._late.append((number, due_s))
        else:
            self._send_by_a_new_one(number, due_s)

    def _send_by_a_new_one(self, number: int, due_s: float) -> None:
        task = asyncio.get_running_loop().create_task(self._send_anew(number, due_s))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _send_anew(self, number: int, due_s: float) -> None:
        try:
            (await self._connect()).ask(number, self._requests[number], due_s)
        except OSError:
            self._waiting -= 1
            self._on_answer(number, Answered(due_s, self._now() - due_s, 0, b"", b""))

    async def _connect(self) -> Client:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: Client(self._on_done), *self._address))[1]

    def _on_done(self, client: Client, status: int, head: bytes, body: bytes) -> None:
        if not status and not client.fresh:
            self._send_by_a_new_one(client.asked, client.due_s)
            return
        self._waiting -= 1
        self._on_answer(client.asked, Answered(client.due_s, self._now() - client.due_s, status, head, body))
        if status and b"connection: close" not in head:
            self._free.append(client)
        if self._late:
            self._waiting -= 1
            self._send(*self._late.popleft())


async def capacity(address: Address, requests: list[bytes], connections: int, seconds: float) -> float:
    """Requests a second that are answered at so many connections, each of which asks anew at once."""
    numbers, count = itertools.cycle(range(len(requests))), 0
    until = time.perf_counter() + seconds
    ended = asyncio.Event()

    def on_done(client: Client, status: int, head: bytes, body: bytes) -> None:
        nonlocal count
        count += status == 200
        if time.perf_counter() < until:
            client.ask(0, requests[next(numbers)], 0)
        else:
            ended.set()

    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(lambda: Client(on_done), *address) for _ in range(connections)]
    for _, client in pairs:
        client.ask(0, requests[next(numbers)], 0)
    await ended.wait()
    for transport, client in pairs:
        client.busy = False
        transport.close()
    return count / seconds


def p99_s(answers: list[Answered]) -> float:
    return percentile(sorted(one.took_s for one in answers), 0.99) if answers else math.inf
