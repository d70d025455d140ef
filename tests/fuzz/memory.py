"""Resident memory of a server's processes while it is fuzzed."""

import os
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PERIOD_S = 0.2
MB = 1_000_000


@dataclass
class Memory:
    """Samples of the sum of the resident sizes of a process and all its descendants, bytes.

    Pages that processes share are counted in each.
    """

    pid: int
    samples: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Samples until `stop`."""
        while not self._over.wait(PERIOD_S):
            self.samples.append(sum(map(resident, family(self.pid))))

    def stop(self) -> None:
        self._over.set()

    def quarters_mb(self) -> list[float]:
        """The median sample of each quarter, MB: short peaks, and decoders that are just replaced, are not in it."""
        size = len(self.samples) // 4
        parts = [self.samples[size * n : size * (n + 1)] for n in range(4)] if size else []
        return [round(statistics.median(part) / MB, 1) for part in parts]

    def growth_mb(self) -> float:
        """From the third quarter to the last; the first half warms up."""
        quarters = self.quarters_mb()
        return round(quarters[3] - quarters[2], 1) if quarters else 0.0

    def summary(self) -> dict[str, object]:
        """For the run's JSON document."""
        peak = round(max(self.samples, default=0) / MB, 1)
        return {"quarters_mb": self.quarters_mb(), "growth_mb": self.growth_mb(), "peak_mb": peak}


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for process in found:
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:  # the thread has ended
                continue
    return found


def resident(pid: int) -> int:
    """Bytes; 0 for a process that has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@contextmanager
def watched(pid: int) -> Iterator[Memory]:
    """Samples the memory in a thread."""
    memory = Memory(pid)
    thread = threading.Thread(target=memory.watch)
    thread.start()
    try:
        yield memory
    finally:
        memory.stop()
        thread.join()
