"""Rows: signals and deaths while clients ask, and how many of their requests are lost."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.faults.rows import Check, Conditions, Row
from tests.faults.service import PREDICT, Address, connect, family, starts
from tests.servers import Service
from tests.serving.sockets import responses

REPLACED_S = 10
WATCHED_S = 15
CLIENTS = 8


@contextmanager
def clients(address: Address) -> Iterator[list[str]]:
    """Clients that ask all the time, each time by a new connection; gives what they lost, an error each."""
    stop, lost = threading.Event(), list[str]()

    def run() -> None:
        while not stop.is_set():
            try:
                connection = connect(address, 20)
            except OSError:  # refused: nothing was promised
                time.sleep(0.01)
                continue
            with connection:
                try:
                    connection.sendall(PREDICT)
                    status = responses(connection, 1)[0][0]
                    if " 200 " not in status:
                        lost.append(status)
                except (OSError, ValueError, IndexError, KeyError) as error:
                    lost.append(repr(error))

    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield lost
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def workers(service: Service) -> set[int]:
    """Process ids of the workers of a service that has several."""
    found = set()
    for pid in family(service.process.pid)[1:]:
        try:
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
        except OSError:
            continue
    return found


def stopped(number: int, conditions: Conditions) -> list[Check]:
    """SIGTERM under load."""
    with conditions.checkout.serving(workers=number) as service, clients(service.address()) as lost:
        time.sleep(1)
        service.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        service.process.wait(timeout=30)
        ended_s = time.monotonic() - started
        time.sleep(0.2)
    return [Check("requests lost", len(lost), 0), Check("ended after", ended_s, 5, "s")]


def hung_up(number: int, conditions: Conditions) -> list[Check]:
    """SIGHUP under load: one worker ignores it, two are replaced one after the other."""
    with conditions.checkout.serving(workers=number) as service:
        before = workers(service)
        with clients(service.address()) as lost:
            time.sleep(0.5)
            service.process.send_signal(signal.SIGHUP)
            seconds = seconds_until(lambda: not before & workers(service) and len(workers(service)) == len(before))
            time.sleep(1)
        gone = service.process.poll() is not None
    return [
        Check("requests lost", len(lost), 0),
        Check("service ended", int(gone), 0),
        *([Check("workers replaced after", seconds, WATCHED_S, "s")] if number > 1 else []),
    ]


def killed(conditions: Conditions) -> list[Check]:
    """SIGKILL to one of two workers: it loses what it was at, and is replaced."""
    with conditions.checkout.serving(workers=2) as service:
        before = starts(service)
        with clients(service.address()) as lost:
            time.sleep(0.5)
            os.kill(min(workers(service)), signal.SIGKILL)
            seconds = seconds_until(lambda: starts(service) > before)
            time.sleep(2)
    return [Check("requests lost", len(lost), CLIENTS), Check("worker replaced after", seconds, REPLACED_S, "s")]


def seconds_until(condition: Callable[[], bool]) -> float:
    """Infinity where that does not come within WATCHED_S."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > WATCHED_S:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - started


STOPS: dict[str, Row] = {
    "SIGTERM under load, 1 worker": partial(stopped, 1),
    "SIGTERM under load, 2 workers": partial(stopped, 2),
    "SIGHUP under load, 1 worker": partial(hung_up, 1),
    "SIGHUP under load, 2 workers": partial(hung_up, 2),
    "SIGKILL to one of 2 workers under load": killed,
}
