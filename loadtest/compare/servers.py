"""Servers under comparison as processes: started on one core, stopped for good at the end, asleep in between."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.compare import processes
from loadtest.compare.errors import CompareError
from loadtest.compare.peers import Peer

STOP_TIMEOUT_S = 5


@dataclass(frozen=True)
class Stage:
    """Where servers run."""

    folder: Path
    """Temporary; each server gets a subfolder."""
    core: int | None
    """The CPU that a server has; None lets it have all."""
    start_timeout_s: float
    variables: dict[str, str]
    """What every server is told: MODEL, MODEL_NAME, ANSWER."""


@dataclass(frozen=True)
class Server:
    """One that runs."""

    peer: Peer
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path
    started: float
    """Of the monotonic clock."""
    start_s: float = 0.0
    """From its start until it was ready."""

    def pids(self) -> set[int]:
        """All its processes."""
        return processes.tree(self.process.pid)

    def pause(self) -> None:
        """It uses no CPU until `resume`; some frameworks poll even when nothing is asked."""
        if self.peer.sleeps:
            processes.send(self.pids(), signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        processes.send(self.pids(), signal.SIGCONT)


@contextmanager
def running(peer: Peer, executables: Path | None, stage: Stage) -> Iterator[Server]:
    """The server, ready; none of its processes is left at the end."""
    server = _start(peer, executables, stage)
    try:
        yield _wait_until_ready(server, stage.start_timeout_s)
    finally:
        stop(server)


def stop(server: Server) -> None:
    """Asks its first process to end, then all of them, then kills whatever is left."""
    family = server.pids()
    processes.send(family, signal.SIGCONT)
    for asked in ({server.process.pid}, family):
        processes.send(asked, signal.SIGTERM)
        if _gone(server, family):
            break
    processes.send(family | server.pids(), signal.SIGKILL)
    server.process.wait()


def _gone(server: Server, family: set[int]) -> bool:
    """Whether all have ended within a while; those that end by themselves tidy up their shared memory."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        ended = server.process.poll() is not None
        if ended and not processes.alive(family):
            return True
        time.sleep(0.02)
    return False


def _start(peer: Peer, executables: Path | None, stage: Stage) -> Server:
    ports = free_ports(3)
    home = stage.folder / f"{peer.name}-{ports[0]}"
    if peer.folder:
        shutil.copytree(peer.folder, home)
    home.mkdir(exist_ok=True)
    filled = {"bin": executables, "port": ports[0], "port2": ports[1], "port3": ports[2], "folder": home}
    pin = [] if stage.core is None else ["taskset", "-c", str(stage.core)]
    command = [*pin, *(part.format(**filled) for part in peer.command)]
    given = {name: value.format(**filled) for name, value in peer.variables.items()}
    log = home / "server.log"
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=home if peer.folder else peer.root,
            env={**clean_environment(), "TMPDIR": str(home), **stage.variables, **given},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Server(peer, ports[0], process, log, started)


def clean_environment() -> dict[str, str]:
    """That of this process, without settings of the service under their present and former names."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("FEWLABEL_", "DIGITS_"))}


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_until_ready(server: Server, timeout_s: float) -> Server:
    while not _is_ready(server):
        if server.process.poll() is not None or time.monotonic() - server.started > timeout_s:
            log = server.log.read_text(errors="replace")[-3000:]
            raise CompareError(f"{server.peer.name} did not start within {timeout_s:.0f} s:\n{log}")
        time.sleep(0.005)
    return replace(server, start_s=time.monotonic() - server.started)


def _is_ready(server: Server) -> bool:
    try:
        address = f"http://127.0.0.1:{server.port}{server.peer.ready}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
