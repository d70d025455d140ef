"""Half an hour at 70 % of capacity with one hostile client in a hundred: `python -m tests.faults.soak --minutes 30`.

99 connections ask for clean digits at set times, whether or not earlier answers have come, and check every label; a
hundredth client does one hostile thing after another, and rests a second after each. After a warm-up (a tenth of the
time) memory must stay within ± 5 MB, the 99th percentile of the last third below 1.5 times that of the first, and no
answer may be wrong or missing. Prints a line a minute, and last one JSON document, which `--save` keeps with a plot.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from tests.conftest import ROOT
from tests.faults import files
from tests.faults.files import FORM, MB
from tests.faults.load import Answered, OpenLoop, capacity
from tests.faults.models import digits
from tests.faults.probe import percentile
from tests.faults.rows import Check
from tests.faults.service import (
    DOORS,
    LIVE,
    PREDICT,
    Address,
    Checkout,
    allow_many_connections,
    ask,
    connect,
    post,
    resident_mb,
)
from tests.faults.streams import send_all
from tests.faults.table import RESULTS, figure
from tests.serving.sockets import reset_when_closed

SHARE = 0.7
CONNECTIONS = 99
CAPACITY_S = 10
"""Capacity is measured for so long, beside the hostile client: clients and service share the cores."""
CAPACITY_ROUNDS = 5
"""Capacity is the lowest of so many measurements: a machine that is shared is not always as fast."""
REST_S = 1.0
MEMORY_S = 0.2
FLAT_MB, FLAT_P99 = 10, 1.5
"""From the lowest to the highest minute; the last third's 99th percentile as multiples of the first third's."""


@dataclass
class Minute:
    """What was seen in one minute."""

    took_ms: "array[float]" = field(default_factory=lambda: array("d"))
    memory_mb: list[float] = field(default_factory=list)
    wrong: int = 0
    hostile: int = 0

    def summary(self) -> dict[str, float]:
        took = sorted(self.took_ms) or [float("nan")]
        return {
            "answers": len(self.took_ms),
            "p50_ms": percentile(took, 0.5),
            "p99_ms": percentile(took, 0.99),
            "memory_mb": statistics.median(self.memory_mb or [float("nan")]),
            "wrong": self.wrong,
            "hostile": self.hostile,
        }


class Record:
    """Minutes; the threads that write to it each have fields of their own."""

    def __init__(self, count: int) -> None:
        self.minutes = [Minute() for _ in range(count + 1)]
        self.stop = threading.Event()
        self.begin()

    def begin(self) -> None:
        """The first minute begins now."""
        self._started = time.monotonic()

    @property
    def now(self) -> Minute:
        return self.minutes[min(int((time.monotonic() - self._started) // 60), len(self.minutes) - 1)]


def half_a_head(address: Address) -> None:
    with connect(address) as connection:
        connection.sendall(LIVE[:30])
        time.sleep(REST_S)


def leaving(address: Address) -> None:
    """Ten clients that reset their connections behind a whole or half a request."""
    for end in [len(PREDICT), 200] * 5:
        with connect(address) as connection:
            reset_when_closed(connection)
            connection.sendall(PREDICT[:end])


def hostile_acts() -> list[Callable[[Address], object]]:
    """A sample of the rows of the fault table."""
    uploads = [
        *files.small_bombs(),
        *itertools.islice(files.damaged(), 0, None, 7),
        *(files.bomb(60 * MB), files.run_length_bmp(), files.png_of_tags(60_000), files.jpeg_of_scans(990)),
        *(files.flat_webp(), files.photo(), b"garbage"),
    ]
    requests = [post(content, door) for content in uploads for door in DOORS]
    requests.append(post(files.form([files.run_length_bmp()] * 16), "/predict/batch", FORM))
    requests.append(post(files.disposition(b'name="file"' + b";a=b" * 500_000), "/predict", FORM))
    acts: list[Callable[[Address], object]] = [half_a_head, leaving]
    acts += [lambda address, one=one: ask(address, one, timeout_s=20) for one in requests]  # type: ignore[misc]
    floods = LIVE[:-2] + b"X: 1\r\n" * 300_000, b"GET /" + b"u" * MB, PREDICT * 2000
    acts += [lambda address, one=one: send_all(address, one, 1).close() for one in floods]  # type: ignore[misc]
    return acts


def be_hostile(address: Address, record: Record) -> None:
    acts, chance = hostile_acts(), random.Random(0)
    while not record.stop.wait(REST_S):
        with suppress(OSError, ValueError, IndexError, KeyError):
            chance.choice(acts)(address)
        record.now.hostile += 1


def watch_memory(pid: int, record: Record) -> None:
    while not record.stop.wait(MEMORY_S):
        record.now.memory_mb.append(resident_mb(pid))


def print_minutes(record: Record) -> None:
    """Each minute, when it is over."""
    for number in range(len(record.minutes) - 1):
        if record.stop.wait(60):
            break
        one = record.minutes[number].summary()
        times = f"p50 {one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.2f} ms"
        rest = f"memory {one['memory_mb']:.1f} MB, {one['wrong']} wrong, {one['hostile']} hostile"
        print(f"minute {number + 1}: {one['answers']:,} answers, {times}, {rest}", flush=True)


def label_of(body: bytes) -> bytes:
    return body.partition(b",")[0]


def soak(address: Address, pid: int, minutes: int) -> tuple[float, Record]:
    """Capacity in requests/s, and what was seen."""
    requests = [post(content, DOORS[number % 10 == 9]) for number, content in enumerate(digits())]
    expected = [label_of(ask(address, request)[1]) for request in requests]
    record = Record(minutes)

    def on_answer(number: int, answer: Answered) -> None:
        minute = record.now
        minute.took_ms.append(1000 * answer.took_s)
        minute.wrong += answer.status != 200 or label_of(answer.body) != expected[number]

    hostile = threading.Thread(target=be_hostile, args=(address, record))
    hostile.start()
    time.sleep(CAPACITY_S)  # its files are made by then
    most = min(uvloop.run(capacity(address, requests, CONNECTIONS, CAPACITY_S)) for _ in range(CAPACITY_ROUNDS))
    print(f"capacity {most:,.0f} requests/s; {SHARE:.0%} of it for {minutes} minutes", flush=True)
    record.begin()
    threads = [
        threading.Thread(target=watch_memory, args=(pid, record)),
        threading.Thread(target=print_minutes, args=(record,)),
    ]
    for thread in threads:
        thread.start()
    uvloop.run(OpenLoop(address, requests, SHARE * most, on_answer, CONNECTIONS).run(60 * minutes))
    record.stop.set()
    for thread in (hostile, *threads):
        thread.join()
    return most, record


def judged(record: Record) -> tuple[list[Check], float]:
    """The bounds; and how fast memory grows, in MB an hour."""
    minutes = record.minutes[:-1]
    warm = minutes[-(-len(minutes) // 10) :] or minutes
    memory = [one.summary()["memory_mb"] for one in warm]
    third = max(1, len(warm) // 3)
    first, last = (p99(some) for some in (warm[:third], warm[-third:]))
    slope = statistics.linear_regression(range(len(memory)), memory).slope if len(memory) > 1 else 0.0
    checks = [
        Check("memory, highest less lowest minute", max(memory) - min(memory), FLAT_MB, "MB"),
        Check("p99 of the last third / of the first", last / first, FLAT_P99),
        Check("answers wrong or missing", sum(one.wrong for one in record.minutes), 0),
    ]
    return checks, 60 * slope


def p99(minutes: Iterable[Minute]) -> float:
    return percentile(sorted(took for one in minutes for took in one.took_ms), 0.99)


def plot(minutes: list[dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure  # the serving environment has none

    sheet = Figure(figsize=(7, 3.2), layout="constrained")
    for axes, (name, title) in zip(
        sheet.subplots(1, 2), {"memory_mb": "memory, MB", "p99_ms": "p99, ms"}.items(), strict=True
    ):
        values = [one[name] for one in minutes]
        axes.plot(range(1, len(minutes) + 1), values, ".-")
        axes.set(xlabel="minute", title=title, ylim=(0, 1.1 * max(values)))
    sheet.savefig(path, dpi=110)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--checkout", type=Path, default=ROOT, help="folder whose code is served")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter that serves")
    parser.add_argument("--save", action="store_true", help="keep the figures, and a plot, in tests/faults/results")
    chosen = parser.parse_args(arguments)
    allow_many_connections()
    checkout = Checkout(chosen.checkout.resolve(), str(chosen.python.absolute()))
    with checkout.serving() as service:
        most, record = soak(service.address(), service.process.pid, chosen.minutes)
    checks, slope = judged(record)
    for check in checks:
        word = "held    " if check.held else "NOT HELD"
        print(f"{word}  {check.what}: {figure(check.value, check.unit)}, at most {figure(check.bound, check.unit)}")
    minutes = [one.summary() for one in record.minutes[:-1]]
    document: dict[str, Any] = {
        "commit": checkout.commit(),
        "cores": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
        "capacity": round(most),
        "memory_mb_per_hour": round(slope, 2),
        "held": all(check.held for check in checks),
        "checks": [{"what": one.what, "value": one.value, "bound": one.bound, "unit": one.unit} for one in checks],
        "minutes": minutes,
    }
    if chosen.save:
        (RESULTS / "soak.json").write_text(json.dumps(document, indent=1) + "\n")
        plot(minutes, RESULTS / "soak.png")
    print(json.dumps(document))
    return 0 if document["held"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
