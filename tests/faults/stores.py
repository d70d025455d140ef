"""Rows: the index while processes are killed, or its database is away.

Everything is asked over HTTP; what was acknowledged is compared with the store itself.
"""

import json
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial

from serving.index.store import open_store
from tests.faults.rows import Check, Conditions, Row
from tests.faults.service import PREDICT, Address, ask, connect, family, post
from tests.faults.stops import seconds_until
from tests.faults.writers import Damage, Told, damage, images, writing
from tests.serving.index.postgres import PostgresServer, postgres
from tests.serving.sockets import responses

KILLS = 50
CLIENTS = 8
AWAY_S = 30
FEWEST_WRITES = 5
"""In each run that ends with a kill, on average: fewer would prove nothing."""
SEARCH = post(PREDICT.partition(b"\r\n\r\n")[2], "/search?k=3")


Servers = Callable[[], AbstractContextManager[PostgresServer]]
"""Gives a server of PostgreSQL."""


@contextmanager
def sqlite_store() -> Iterator[str]:
    """Address of an empty store in one file."""
    with tempfile.TemporaryDirectory(prefix="fewlabel-index-") as folder:
        yield f"{folder}/index.sqlite"


@contextmanager
def postgres_store(servers: Servers = postgres) -> Iterator[str]:
    """Address of an empty store in a server."""
    with servers() as server:
        yield server.new_database()


def item(method: str, own_id: str, body: bytes = b"", *headers: str) -> bytes:
    """A request about one item."""
    return post(body, f"/index/items/{own_id}", *headers).replace(b"POST", method.encode(), 1)


def state(address: Address) -> dict[str, object]:
    """What `GET /index` tells."""
    found: dict[str, object] = json.loads(ask(address, b"GET /index HTTP/1.1\r\nHost: localhost\r\n\r\n")[1])
    return found


def killed(runs: int, new: Callable[[], AbstractContextManager[str]], conditions: Conditions) -> list[Check]:
    """SIGKILL to the service, again and again, while clients write."""
    chance, told = random.Random(0), Told()
    images()
    with new() as address:
        for run in range(runs):
            with (
                conditions.checkout.serving(wait="listening", index=address) as service,
                writing(service.address(), f"{run}", CLIENTS, told),
            ):
                before = told.statuses["done"]
                seconds_until(lambda: told.statuses["done"] > before)  # noqa: B023
                time.sleep(chance.uniform(0, 0.7))
                for pid in family(service.process.pid):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                service.process.wait()
        with closing(open_store(address)) as store:
            found = damage(store, told)
    return [
        *checks(found),
        Check("too few writes to prove anything", int(told.statuses["done"] < FEWEST_WRITES * runs), 0),
        Check("answered, but neither done nor refused", others(told), 0),
    ]


def checks(found: Damage) -> list[Check]:
    """Of what was written."""
    return [Check("acknowledged and lost", found.lost, 0), Check("half-written", found.half_written, 0)]


def others(told: Told) -> int:
    """Writes that got another answer than a service that is well, or says that it is not, may give."""
    return sum(count for status, count in told.statuses.items() if status not in ("done", "refused", "cut"))


class Searches:
    """A client that searches every 10 ms."""

    def __init__(self, address: Address, key: str = "") -> None:
        self.failed, self.longest_s = 0, 0.0
        self._request = SEARCH.replace(b"\r\n", f"\r\nX-API-Key: {key}\r\n".encode(), 1) if key else SEARCH
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[address])

    def _run(self, address: Address) -> None:
        with connect(address) as connection:
            while not self._stop.wait(0.01):
                started = time.monotonic()
                connection.sendall(self._request)
                self.failed += " 200 " not in responses(connection, 1)[0][0]
                self.longest_s = max(self.longest_s, time.monotonic() - started)

    def __enter__(self) -> "Searches":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def checks(self, who: str = "") -> list[Check]:
        begin = f"{who}: " * bool(who)
        longest = Check(f"{begin}search, longest", 1000 * self.longest_s, 500, "ms")
        return [Check(f"{begin}searches failed", self.failed, 0), longest]


def away(seconds: float, servers: Servers, conditions: Conditions) -> list[Check]:
    """PostgreSQL fails, and is started again so much later, while clients search and write."""
    told, serving = Told(), partial(conditions.checkout.serving, wait="ready")
    with servers() as server:
        address = server.new_database()
        with serving(index=address) as service, Searches(service.address()) as searches:
            with writing(service.address(), "w", CLIENTS, told):
                seconds_until(lambda: len(told.done_at) == CLIENTS)
                server.stop("immediate")
                time.sleep(seconds)
                refused = told.statuses["refused"]
                back_s = started_again(server, told)
                time.sleep(1)
            available = state(service.address())["available"]
        with closing(open_store(address)) as store:
            found = damage(store, told)
    return [
        *searches.checks(),
        Check("no write was refused", int(not refused), 0),
        Check("neither done nor refused with Retry-After", others(told) + told.statuses["cut"], 0),
        Check("write, longest", told.longest_s, 6, "s"),
        *checks(found),
        Check("all clients write again after", back_s if available else float("inf"), 5, "s"),
    ]


def started_again(server: PostgresServer, told: Told) -> float:
    """Seconds from then on until the last client has written."""
    server.start()
    started = time.monotonic()
    seconds_until(lambda: min(told.done_at.values()) > started)
    return max(min(told.done_at.values()) - started, 0) or float("inf")


def replicas(servers: Servers, conditions: Conditions) -> list[Check]:
    """Two services on one PostgreSQL: what one writes, the other finds."""
    longest = 0.0
    serving = partial(conditions.checkout.serving, wait="ready")
    with postgres_store(servers) as address, serving(index=address) as one, serving(index=address) as other:
        for number in range(20):
            writer, reader = (one, other) if number % 2 else (other, one)
            image, own_id = images()[number], f"item {number}".replace(" ", "-")
            status, _ = ask(writer.address(), item("PUT", own_id, image))
            request = post(image, "/search?k=1&source=user")
            found = partial(finds, reader.address(), request, own_id)
            longest = max(longest, seconds_until(found) if status == 201 else float("inf"))
    return [Check("one writes, the other finds it after", longest, 1, "s")]


def finds(address: Address, request: bytes, own_id: str) -> bool:
    """Whether a search finds this item first."""
    neighbors = json.loads(ask(address, request)[1])["neighbors"]
    return bool(neighbors) and neighbors[0]["id"] == own_id


STORES: dict[str, Row] = {
    f"SIGKILL {KILLS} times under writes, SQLite": partial(killed, KILLS, sqlite_store),
    f"SIGKILL {KILLS} times under writes, PostgreSQL": partial(killed, KILLS, postgres_store),
    f"PostgreSQL away for {AWAY_S} s under writes and searches": partial(away, AWAY_S, postgres),
    "two services on one PostgreSQL": partial(replicas, postgres),
}
