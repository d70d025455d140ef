"""Clients that put, label, replace and delete items over HTTP, and what must be in the store after that."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.index.store import MAX_GROUP, Store
from serving.model import load_model
from tests.conftest import BUNDLE, ROOT
from tests.faults.service import Address
from tests.pictures.uploads import encoded

PAUSE_S = 0.05
"""After a write that failed."""
TOLERANCE = 1e-3
"""Between an embedding and the same one of another batch."""


class State(NamedTuple):
    """Of an item: which image it has, None where there is no item, and its label."""

    image: int | None
    label: str | None = None


GONE = State(None)


@cache
def images() -> list[bytes]:
    """200 digits, PNG."""
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        return [encoded(image) for image in arrays["images"][:200]]


@cache
def vectors() -> NDArray[np.float32]:
    """(200, dim): their embeddings."""
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        answers = load_model(BUNDLE, "cpu", 1, 200).run_batch(arrays["images"][:200, None])
    return np.stack([answer.embedding for answer in answers])


@dataclass
class Told:
    """What all clients were told."""

    possible: dict[str, set[State]] = field(default_factory=dict)
    """Id → the state that was acknowledged last, and those that may have come since without an answer."""
    statuses: Counter[str] = field(default_factory=Counter)
    """`done`; `refused`, which is 503 with Retry-After; `cut`, without an answer; or the status of another one."""
    done_at: dict[str, float] = field(default_factory=dict)
    """Client → the moment of its last acknowledgement."""
    longest_s: float = 0.0
    """For which a client waited for an answer."""


class Client:
    """Writes one item after another until it is stopped."""

    def __init__(self, address: Address, name: str, told: Told, stop: threading.Event, headers: dict[str, str]) -> None:
        self._address, self._name, self._told, self._stop, self._headers = address, name, told, stop, headers
        self._connection = http.client.HTTPConnection(*address, timeout=30)

    def run(self) -> None:
        """Each item is put; some of them are labelled, replaced by another image, and deleted."""
        number = 0
        while not self._stop.is_set():
            own_id, image = f"{self._name}/{number}", number % 199
            steps = [
                ("PUT", f"?label=l{number}", images()[image], State(image, f"l{number}")),
                ("PATCH", "", b'{"label": "new"}', State(image, "new")),
                ("PUT", "", images()[image + 1], State(image + 1)),
                ("DELETE", "", None, GONE),
            ]
            for method, query, body, state in steps[: 1 + number % 4]:
                if self._stop.is_set() or not self._ask(own_id, method, query, body, state):
                    break
            number += 1
        self._connection.close()

    def _ask(self, own_id: str, method: str, query: str, body: bytes | None, state: State) -> bool:
        """Whether it was acknowledged."""
        possible = self._told.possible.setdefault(own_id, {GONE})
        possible.add(state)
        started = time.monotonic()
        try:
            self._connection.request(method, f"/index/items/{own_id}{query}", body, self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._told.statuses["cut"] += 1
            self._stop.wait(PAUSE_S)
            return False
        self._told.longest_s = max(self._told.longest_s, time.monotonic() - started)
        if answer.status in (200, 201, 204):
            self._told.possible[own_id] = {state}
            self._told.statuses["done"] += 1
            self._told.done_at[self._name] = time.monotonic()
            return True
        refused = answer.status == 503 and answer.headers["Retry-After"]
        self._told.statuses["refused" if refused else str(answer.status)] += 1
        self._stop.wait(PAUSE_S)
        return False


@contextmanager
def writing(
    address: Address, name: str, clients: int, told: Told, headers: dict[str, str] | None = None
) -> Iterator[None]:
    """So many clients, while the context lasts."""
    stop = threading.Event()
    each = [Client(address, f"{name}/{number}", told, stop, headers or {}) for number in range(clients)]
    threads = [threading.Thread(target=one.run) for one in each]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Damage(NamedTuple):
    """Items that are not as they must be."""

    lost: int
    """Something else than the acknowledged state, or one that was being written."""
    half_written: int
    """Parts are missing, or do not belong together."""


def damage(store: Store, told: Told) -> Damage:
    """Compares the store with what clients were told."""
    numbers = {image: number for number, image in enumerate(images())}
    lost = half = 0
    ids = list(told.possible)
    for first in range(0, len(ids), MAX_GROUP):
        group = ids[first : first + MAX_GROUP]
        items = store.get(group)
        for own_id in group:
            item, image = items.get(own_id), store.image(own_id)
            if item is None:
                half += image is not None
                lost += GONE not in told.possible[own_id]
                continue
            number = numbers.get(image or b"", -1)
            fits = item.vector is not None and np.allclose(item.vector, vectors()[number], atol=TOLERANCE)
            half += number < 0 or not fits or not store.thumbnail(own_id)
            lost += State(number, item.label) not in told.possible[own_id]
    held = store.page(1_000_000)
    totals = store.totals()
    half += (totals.items, totals.bytes) != (len(held), sum(item.size for item in held))
    lost += len({item.id for item in held} - told.possible.keys())
    return Damage(lost, half)
