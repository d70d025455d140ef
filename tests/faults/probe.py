"""A client that does nothing wrong, beside those that do: how long it waits, and how much memory the service takes.

It is a process of its own (`python -m tests.faults.probe HOST PORT PID`), so that the load's client does not delay it.
A clean digit is asked for every 5 ms, /health/live every 50 ms, each on a connection of its own and not before the last
answer has come. A wait that spans several of these moments counts as one for each of them, which would have waited less
and less (the correction of HdrHistogram for coordinated omission): otherwise a stop of 20 s would be one request in
thousands, and no percentile would show it.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.conftest import ROOT
from tests.faults.service import LIVE, PREDICT, connect, resident_mb
from tests.servers import Service
from tests.serving.sockets import responses

INTERVALS_S = {"digit": 0.005, "live": 0.05}
REQUESTS = {"digit": PREDICT, "live": LIVE}
MEMORY_INTERVAL_S = 0.02
BASE_S, AFTER_S = 1.0, 5.0
"""How long it looks before and after the load."""
ANSWER_TIMEOUT_S = 60
"""How long it waits for one answer."""


@dataclass
class Seen:
    """What the probe saw from the load's beginning to its end; milliseconds and megabytes."""

    waits_ms: dict[str, list[float]] = field(default_factory=dict)
    """`digit` and `live`, sorted."""
    failures: int = 0
    """Its own requests that were not answered with 200."""
    base_mb: float = 0.0
    peak_mb: float = 0.0
    after_mb: float = 0.0
    """At the end of AFTER_S, or of the load where nobody waited for that."""
    result: Any = None
    """Whatever the load returned."""

    def longest_ms(self, who: str) -> float:
        return self.waits_ms[who][-1]

    def p99_ms(self, who: str) -> float:
        return percentile(self.waits_ms[who], 0.99)

    @property
    def taken_mb(self) -> float:
        return self.peak_mb - self.base_mb

    @property
    def kept_mb(self) -> float:
        return self.after_mb - self.base_mb


def percentile(values: list[float], share: float) -> float:
    """Of sorted values: the smallest that at least this share does not exceed."""
    return values[max(0, -int(-len(values) * share // 1) - 1)]


@dataclass
class Watch:
    """A probe that runs; `begin` and `end` mark the load."""

    process: "subprocess.Popen[str]"
    began: float = 0.0
    ended: float = 0.0

    def begin(self) -> None:
        self.began = time.monotonic()

    def end(self) -> None:
        self.ended = time.monotonic()

    def read(self) -> Seen:
        """Ends the probe."""
        output, _ = self.process.communicate(timeout=2 * ANSWER_TIMEOUT_S)
        found = json.loads(output)
        seen = Seen()
        for who, interval_s in INTERVALS_S.items():
            asked = [
                (status, wait_s) for at, wait_s, status in found[who] if at + wait_s >= self.began and at <= self.ended
            ]
            seen.failures += sum(status != 200 for status, _ in asked)
            seen.waits_ms[who] = sorted(1000 * one for _, wait_s in asked for one in all_waits(wait_s, interval_s))
        memory = found["memory"]
        before = [mb for at, mb in memory if at < self.began]
        seen.base_mb = sum(before) / len(before)
        seen.peak_mb = max(mb for at, mb in memory if at >= self.began)
        seen.after_mb = sum(mb for _, mb in memory[-10:]) / 10
        return seen


def all_waits(wait_s: float, interval_s: float) -> Iterator[float]:
    """One measured wait, and those that it hid."""
    while wait_s > 0:
        yield wait_s
        wait_s -= interval_s


@contextmanager
def watching(service: Service) -> Iterator[Watch]:
    host, port = service.address()
    command = [sys.executable, "-m", "tests.faults.probe", host, str(port), str(service.process.pid)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        time.sleep(BASE_S)
        yield Watch(process)
    finally:
        process.kill()
        process.communicate()


def repeat(who: str, address: tuple[str, int], stop: threading.Event, found: list[tuple[float, float, int]]) -> None:
    """Asks until `stop`; adds when it asked, how long it waited, and the status, 0 where there was none."""
    connection = None
    while not stop.is_set():
        started, status = time.monotonic(), 0
        try:
            connection = connection or connect(address, ANSWER_TIMEOUT_S)
            connection.sendall(REQUESTS[who])
            status = int(responses(connection, 1)[0][0].split()[1])
        except (OSError, ValueError, IndexError):
            if connection is not None:
                connection.close()
                connection = None
        found.append((started, time.monotonic() - started, status))
        stop.wait(max(0.0, started + INTERVALS_S[who] - time.monotonic()))


def main(host: str, port: int, pid: int) -> None:
    """Until the end of stdin; then all that was seen, as JSON."""
    stop = threading.Event()
    found: dict[str, list[Any]] = {"digit": [], "live": [], "memory": []}
    threads = [threading.Thread(target=repeat, args=(who, (host, port), stop, found[who])) for who in INTERVALS_S]

    def measure_memory() -> None:
        while not stop.wait(MEMORY_INTERVAL_S):
            found["memory"].append((time.monotonic(), resident_mb(pid)))

    threads.append(threading.Thread(target=measure_memory))
    for thread in threads:
        thread.start()
    print("watching", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
