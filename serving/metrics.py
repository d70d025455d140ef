"""What Prometheus reads. With several workers, all of them write into one folder and any of them answers for all."""

import os
from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from serving.index.group import Totals

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FILES = ("counter", "histogram", "gauge_livesum", "gauge_livemax", "gauge_livemostrecent")
"""One of each a worker, as prometheus_client names them."""
FILE_BYTES = 1 << 18
"""Room for some thousand series; prometheus_client would make files of 1 MiB with nothing behind them."""


class BulkHistogram(Histogram):
    """A histogram that takes many values in the time of a few; relies on how prometheus_client's works inside."""

    def observe_many(self, amounts: Sequence[float]) -> None:
        """The same as `observe` for each of `amounts`."""
        self._sum.inc(sum(amounts))
        for bucket, count in Tally(map(partial(bisect_left, self._upper_bounds), amounts)).items():
            self._buckets[bucket].inc(count)


class Metrics:
    """One service's counters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._children: dict[tuple[str, int], tuple[Counter, BulkHistogram]] = {}
        self._noted: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        here: dict[str, Any] = {"registry": self._registry}
        seconds = {"buckets": SECONDS, **here}
        self._requests = Counter("fewlabel_requests", "Requests answered", ["route", "status"], **here)
        self._request_seconds = BulkHistogram(
            "fewlabel_request_seconds", "Seconds from request to answer", ["route"], **seconds
        )
        self._batch_size = Histogram("fewlabel_batch_size", "Images in a batch", buckets=SIZES, **here)
        self._batch_seconds = Histogram("fewlabel_batch_seconds", "Seconds that the model took for a batch", **seconds)
        self.waiting = Gauge(
            "fewlabel_waiting_images", "Images that wait for the model", multiprocess_mode="livesum", **here
        )
        self._model = Gauge(
            "fewlabel_model_info",
            "The served model; always 1",
            ["model", "provider"],
            multiprocess_mode="livemax",
            **here,
        )

        # As the worker that was asked last knows them.
        latest = {"multiprocess_mode": "livemostrecent", **here}
        self._items = Gauge("fewlabel_index_items", "Users' images, and labels over the bundle's own", **latest)
        self._bytes = Gauge("fewlabel_index_bytes", "Bytes that they count", **latest)
        self._missing = Gauge("fewlabel_index_missing", "Images not searched: another model's vector", **latest)
        self._store_up = Gauge("fewlabel_index_store_up", "Whether the index's store answers", **latest)

    def set_index(self, totals: Totals | None, missing: int) -> None:
        """Tells what the index holds, None where its store does not answer, and how many images are not searched."""
        self._store_up.set(totals is not None)
        self._missing.set(missing)
        if totals is not None:
            self._items.set(totals.items)
            self._bytes.set(totals.bytes)

    def set_model(self, name: str, provider: str) -> None:
        """Tells which model answers."""
        self._model.labels(name, provider).set(1)

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self.note_request(route, status, seconds)
        self.count_requests()

    def note_request(self, route: str, status: int, seconds: float) -> None:
        """Buffers one request; the caller must call `count_requests` after the batch."""
        self._noted[route, status].append(seconds)

    def count_requests(self) -> None:
        """Counts the buffered requests, which takes less time than counting each of them."""
        for (route, status), seconds in self._noted.items():
            children = self._children.get((route, status))
            if children is None:  # looking up labels takes longer than counting
                children = self._requests.labels(route, str(status)), self._request_seconds.labels(route)
                self._children[route, status] = children
            children[0].inc(len(seconds))
            children[1].observe_many(seconds)
        self._noted.clear()

    def observe_batch(self, size: int, seconds: float, waiting: int) -> None:
        """One batch ran and its requests are answered; `waiting` images wait for the next."""
        self.waiting.set(waiting)
        self._batch_size.observe(size)
        self._batch_seconds.observe(seconds)
        self.count_requests()

    def render(self) -> bytes:
        """Prometheus's text format, of all workers together."""
        self.count_requests()
        if MULTIPROCESS_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def share_between_workers() -> TemporaryDirectory[str]:
    """Makes the workers' common folder, which lasts as long as the context that is returned.

    Must happen before the first of these metrics is made.
    """
    folder = TemporaryDirectory(prefix="fewlabel-metrics-", ignore_cleanup_errors=True)
    os.environ[MULTIPROCESS_VARIABLE] = folder.name
    return folder


def reserve_space() -> None:
    """Makes this worker's files, with their blocks on the disk; to be called before its metrics are made.

    They are mapped into memory: to write where a full disk has no block would end the process by SIGBUS.
    Raises OSError.
    """
    for kind in FILES:
        path = Path(os.environ[MULTIPROCESS_VARIABLE], f"{kind}_{os.getpid()}.db")
        if path.exists():  # an ended worker had this process id: its counts go on
            continue
        try:
            path.write_bytes(bytes(FILE_BYTES))
        except OSError as error:
            path.unlink(missing_ok=True)
            raise OSError(error.errno, f"the metrics have no room: {error.strerror}", str(path)) from error


def forget_worker() -> None:
    """Takes this worker's gauges out of the common folder, when it stops."""
    if MULTIPROCESS_VARIABLE in os.environ:
        mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def forget_killed_workers() -> None:
    """Takes out the gauges of workers that had no time to do it themselves."""
    if MULTIPROCESS_VARIABLE not in os.environ:
        return
    for path in Path(os.environ[MULTIPROCESS_VARIABLE]).glob("gauge_*_*.db"):
        pid = int(path.stem.rsplit("_", 1)[1])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker, which starts too, was faster
                mark_process_dead(pid)  # type: ignore[no-untyped-call]
