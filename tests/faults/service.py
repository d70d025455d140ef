"""A service of any checkout, as a process of its own, and the memory of all its processes."""

import functools
import math
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.conftest import ROOT
from tests.servers import Service, clean_environment
from tests.serving.sockets import responses

UPLOAD = (ROOT / "examples" / "7.png").read_bytes()
LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
READY = LIVE.replace(b"live", b"ready")
FAULTY = ROOT / "tests" / "faults" / "faulty.py"
START_S, STOP_S = 30, 5
STEADY_MB, STEADY_S = 1, 0.7
PAGE = os.sysconf("SC_PAGE_SIZE")
NO_INDEX = "/nowhere/index.sqlite"
"""Nothing is searched but the bundle's own images."""
DOORS = "/predict", "/predict?debug=true"
"""A target that the front answers itself, and one that goes the longer way."""


def post(body: bytes, target: str = "/predict", *headers: str) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


PREDICT = post(UPLOAD)
Address = tuple[str, int]


def connect(address: Address, timeout_s: float = 60) -> socket.socket:
    return socket.create_connection(address, timeout=timeout_s)


def ask(address: Address, request: bytes = PREDICT, timeout_s: float = 60) -> tuple[int, bytes]:
    """Status and body of one answer, by a new connection. Raises OSError or ValueError where there is none."""
    with connect(address, timeout_s) as connection:
        connection.sendall(request)
        status, _, body = responses(connection, 1)[0]
        return int(status.split()[1]), body


def family(pid: int) -> list[int]:
    """The process and all below it that still run."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def resident_mb(pid: int) -> float:
    """Resident memory of the process and all below it; pages that they share count once for each."""
    pages = 0
    for one in family(pid):
        with suppress(OSError, IndexError):  # it has just ended
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages * PAGE / 1e6


@dataclass(frozen=True)
class Checkout:
    """The code to be measured and the interpreter that runs it."""

    folder: Path
    python: str

    def commit(self) -> str:
        """Short, with + where files differ from it; empty where git does not know the folder."""
        command = ["git", "-C", str(self.folder), "describe", "--always", "--dirty=+", "--exclude", "*"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    @functools.cached_property
    def known_options(self) -> str:
        return subprocess.run(
            [self.python, "-m", "serving", "--help"], cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout

    @contextmanager
    def serving(
        self,
        *,
        fault: str = "",
        descriptors: int = 0,
        workers: int = 1,
        prefix: tuple[str, ...] = (),
        wait: Literal["steady", "ready", "listening"] = "steady",
        **options: float | str,
    ) -> Iterator[Service]:
        """A service that takes images; options that this checkout does not know are left out.

        Args:
            fault: what is wrong with the model, as `faulty.py` takes it.
            descriptors: files that its processes may open.
            workers: processes that answer.
            prefix: a command that runs the service's.
            wait: until it listens, is ready, or has answered some images and its memory is steady.
        """
        program = ["-P", str(FAULTY)] if fault else ["-m", "serving"]
        command = [*prefix, self.python, *program, "--port", "0", "--workers", str(workers)]
        for name, value in ({"index": NO_INDEX} | options).items():
            option = f"--{name.replace('_', '-')}"
            if f" {option} " in self.known_options:
                command += [option, str(value)]
        if descriptors:
            command = ["prlimit", f"--nofile={descriptors}", *command]
        variables = {"FAULT": fault, "PYTHONPATH": str(self.folder)} if fault else {}
        process = subprocess.Popen(
            command, cwd=self.folder, stderr=subprocess.PIPE, text=True, env=clean_environment(**variables)
        )
        service = Service(process)
        try:
            service.read_until_it_listens()
            if wait == "steady":
                wait_until_ready(service, workers)
            deadline = time.monotonic() + START_S
            while wait == "ready" and ask(service.address(), READY)[0] != 200:
                assert time.monotonic() < deadline, service.log
                time.sleep(0.02)
            yield service
        finally:
            end(service)


def starts(service: Service) -> int:
    """How many workers have begun to serve."""
    texts = "running on http", "startup complete"  # before version 0.3 uvicorn's own words
    return max(sum(text in line for line in service.log) for text in texts)


def wait_until_ready(service: Service, workers: int) -> None:
    """Until so many workers take images, each has answered some, and their memory grows no more."""
    deadline = time.monotonic() + START_S
    while starts(service) < workers:
        assert time.monotonic() < deadline, service.log
        time.sleep(0.02)
    for request in [READY, *[PREDICT] * 50 * workers, post(UPLOAD, DOORS[1])]:
        status, body = ask(service.address(), request)
        assert status == 200, body
    before_mb = -math.inf
    while abs((now_mb := resident_mb(service.process.pid)) - before_mb) > STEADY_MB:  # decoders start one by one
        before_mb = now_mb
        time.sleep(STEADY_S)


def end(service: Service) -> None:
    """SIGTERM; where that takes too long, SIGKILL to all of its processes."""
    processes = family(service.process.pid)
    if service.process.poll() is None:
        service.process.terminate()
    try:
        service.process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        processes = family(service.process.pid)
        service.process.kill()
        service.process.wait()
    for pid in processes[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    service.close()


def allow_many_connections() -> None:
    """For this process, as many descriptors as it may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
