"""What a row of the fault table is, and how one is measured: a service, a probe, and a load beside it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.probe import AFTER_S, Seen, watching
from tests.faults.service import Address, Checkout
from tests.servers import Service

OTHERS_WAIT_MS = 50
TAKEN_MB, KEPT_MB = 30, 10
SHORTEST_S = 2
"""How long the probe looks where the load ends at once."""


class LeftOut(Exception):
    """A row that cannot be measured here; the text says why."""


@dataclass(frozen=True)
class Check:
    """A figure that must not exceed its bound; infinity where something never happened."""

    what: str
    value: float
    bound: float
    unit: str = ""

    @property
    def held(self) -> bool:
        return self.value <= self.bound


@dataclass(frozen=True)
class Conditions:
    """What is measured, and for how long."""

    checkout: Checkout
    whole: bool = False
    """Whether rows that have a short form take the whole one."""


Row = Callable[[Conditions], list[Check]]
Load = Callable[[Address], Any]


def beside_a_probe(service: Service, load: Load, after_s: float = 0.0) -> Seen:
    """What the probe sees while `load` runs, and for so long afterwards."""
    with watching(service) as watch:
        watch.begin()
        try:
            result = load(service.address())
            time.sleep(max(0.0, watch.began + SHORTEST_S - time.monotonic()))
        finally:
            watch.end()
        time.sleep(after_s)
        seen = watch.read()
    seen.result = result
    return seen


def others_wait(seen: Seen, p99_ms: float = OTHERS_WAIT_MS) -> list[Check]:
    return [
        Check("digit, longest", seen.longest_ms("digit"), OTHERS_WAIT_MS, "ms"),
        Check("digit, p99", seen.p99_ms("digit"), p99_ms, "ms"),
        Check("live, longest", seen.longest_ms("live"), OTHERS_WAIT_MS, "ms"),
        Check("others failed", seen.failures, 0),
    ]


def memory(seen: Seen, taken_mb: float, kept_mb: float = KEPT_MB) -> list[Check]:
    return [Check("memory taken", seen.taken_mb, taken_mb, "MB"), Check("kept after 5 s", seen.kept_mb, kept_mb, "MB")]


def hostile(
    prepare: Callable[[], Load],
    *also: Callable[[Seen], list[Check]],
    taken_mb: float | None = None,
    kept_mb: float = KEPT_MB,
    p99_ms: float = OTHERS_WAIT_MS,
) -> Row:
    """A row: nobody else waits, and what `also` says of what was seen. Memory is measured if it has a bound.

    `prepare` makes the load before anything is measured. A digit is answered within `p99_ms` in 99 cases of 100.
    """

    def row(conditions: Conditions) -> list[Check]:
        load = prepare()
        with conditions.checkout.serving() as service:
            seen = beside_a_probe(service, load, AFTER_S if taken_mb else 0.0)
        checks = [*others_wait(seen, p99_ms), *(check for found in also for check in found(seen))]
        return checks + memory(seen, taken_mb, kept_mb) if taken_mb else checks

    return row
