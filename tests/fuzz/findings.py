"""What a run finds: counts, and each failure with the bytes that reproduce it. Safe to use from several threads."""

import json
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Findings:
    """The counts and failures of one part of the run.

    Each failure becomes a line of `folder/<part>.jsonl` and a file with the bytes that were sent.
    """

    part: str
    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    slowest_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str, number: int = 1) -> None:
        """Adds to one of the counts."""
        with self._lock:
            self.counts[name] += number

    def took(self, seconds: float) -> None:
        """Tells how long one case took."""
        with self._lock:
            self.slowest_s = max(self.slowest_s, seconds)

    def fail(self, number: int, complaints: Iterable[str], sent: bytes = b"") -> None:
        """Records what is wrong with case `number`, if anything is."""
        for complaint in complaints:
            with self._lock:
                self.failures += 1
                self.folder.mkdir(parents=True, exist_ok=True)
                name = f"{self.part}-{number}.bin"
                (self.folder / name).write_bytes(sent)
                with (self.folder / f"{self.part}.jsonl").open("a") as file:
                    file.write(json.dumps({"case": number, "complaint": complaint, "sent": name}) + "\n")

    def summary(self) -> dict[str, object]:
        """For the run's JSON document."""
        return {**sorted_counts(self.counts), "slowest_s": round(self.slowest_s, 3), "findings": self.failures}


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    """The counts by name."""
    return dict(sorted(counts.items()))
