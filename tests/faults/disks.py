"""Rows: the index's file where the disk is full, and where others have locked, damaged or made it."""

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from serving.index.store import open_store
from tests.faults.rows import Check, Conditions, Row
from tests.faults.service import ask
from tests.faults.stops import seconds_until
from tests.faults.stores import CLIENTS, Searches, checks, item, others, sqlite_store, state
from tests.faults.writers import State, Told, damage, images, writing
from tests.pictures.uploads import encoded


def full(conditions: Conditions) -> list[Check]:
    """A service whose files may not grow beyond 2 MB, as on a full disk; then one for which there is room."""
    told, serving = Told(), partial(conditions.checkout.serving, wait="ready")
    with sqlite_store() as address:
        limit = ("prlimit", "--fsize=2000000")
        with serving(index=address, prefix=limit) as service:
            with Searches(service.address()) as searches, writing(service.address(), "full", CLIENTS, told):
                seconds_until(lambda: others(told) + told.statuses["refused"] > 20)
            detail = refusal(service.address())
        with closing(open_store(address)) as store:
            found = damage(store, told)
        with serving(index=address) as service:
            status, _ = ask(service.address(), item("PUT", "x", images()[0]))
    wrong = told.statuses.keys() - {"done", "refused", "507"}
    return [
        *searches.checks(),
        Check("another answer than 507, or 503 with Retry-After", len(wrong), 0),
        Check("an unclear error", int("full" not in detail), 0),
        *checks(found),
        Check("not written when there is room again", int(status != 201), 0),
    ]


def refusal(address: tuple[str, int]) -> str:
    """What is told of a write that does not fit; "" where all do. Small ones may fit after others did not."""
    large = encoded(np.random.default_rng(0).integers(0, 256, (700, 700), np.uint8))
    for number in range(20):
        status, body = ask(address, item("PUT", f"more-{number}", large))
        if status >= 500:  # 507, or 503: a limit of files is told to SQLite as a failed disk
            return str(json.loads(body)["detail"])
    return ""


def locked(path: Path) -> Callable[[], None]:
    """Another program keeps the lock."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection.close


def damaged(path: Path) -> Callable[[], None]:
    """Pages in the middle are overwritten."""
    before = path.read_bytes()
    path.write_bytes(before[:4096] + os.urandom(len(before) - 4096))
    return lambda: (path.write_bytes(before), None)[1]


def foreign(path: Path) -> Callable[[], None]:
    """A version that is not ours has made the tables."""
    before = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    return lambda: (path.write_bytes(before), None)[1]


def unusable(spoil: Callable[[Path], Callable[[], None]], word: str, conditions: Conditions) -> list[Check]:
    """A file that cannot be used when the service starts, and can be used later."""
    told, serving = Told(), partial(conditions.checkout.serving, wait="ready")
    with sqlite_store() as address:
        with (
            serving(index=address) as service,
            writing(service.address(), "w", 1, told),
        ):
            seconds_until(lambda: told.statuses["done"] > 20)
        mend = spoil(Path(address))
        with (
            serving(index=address) as service,
            Searches(service.address()) as searches,
        ):
            started = time.monotonic()
            status, body = ask(service.address(), item("PUT", "x", images()[0]))
            refused_s = time.monotonic() - started
            unclear = word not in json.loads(body)["detail"]
            mend()
            back_s = seconds_until(lambda: state(service.address())["available"] is True)
            again, _ = ask(service.address(), item("PUT", "x", images()[0]))
            told.possible["x"] = {State(0)}
        with closing(open_store(address)) as store:
            found = damage(store, told)
    return [
        *searches.checks(),
        Check("another answer than 503", int(status != 503), 0),
        Check("refused after", refused_s, 6, "s"),
        Check("an unclear error", int(unclear), 0),
        *checks(found),
        Check("mended, it is used after", back_s if again == 201 else float("inf"), 5, "s"),
    ]


DISKS: dict[str, Row] = {
    "the index's disk is full": full,
    "the index's file is locked": partial(unusable, locked, "locked"),
    "the index's file is damaged": partial(unusable, damaged, "damaged"),
    "the index's file has another schema": partial(unusable, foreign, "schema 99"),
}
