"""How the service stops, restarts and loses workers: over real sockets, counting what is lost."""

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from serving.metrics import FILES
from tests.conftest import ROOT
from tests.servers import Service, running_service
from tests.serving.sockets import responses

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = (ROOT / "examples" / "7.png").read_bytes()
PREDICT = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(UPLOAD), UPLOAD)
OK = "HTTP/1.1 200 OK"


def workers(service: Service) -> list[int]:
    """Process ids."""
    parent = service.process.pid
    children = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_for(count: int, service: Service, text: str = "running on") -> None:
    """Until so many lines of the log contain the text: by default until so many workers have begun to serve."""
    deadline = time.monotonic() + 30
    while sum(text in line for line in service.log) < count:
        assert time.monotonic() < deadline, service.log
        time.sleep(0.02)


def metrics_folder(pid: int) -> Path:
    """Of a worker that serves."""
    files = (path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir())
    return next(file.parent for file in files if file.parent.name.startswith("fewlabel-metrics-"))


@contextmanager
def two_workers() -> Iterator[Service]:
    with running_service("--workers", "2") as service:
        wait_for(2, service)
        yield service


def ask(address: tuple[str, int], request: bytes = PREDICT) -> str:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(request)
        return responses(connection, 1)[0][0]


@contextmanager
def clients(address: tuple[str, int], outcomes: list[str]) -> Iterator[None]:
    """Four clients that ask all the time, each time by a new connection."""
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                outcomes.append(ask(address))
            except (OSError, ValueError) as error:
                outcomes.append(repr(error))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("count", [1, 2])
def test_requests_that_wait_to_be_accepted_are_answered_before_the_service_stops(count: int) -> None:
    with running_service("--workers", str(count)) as service, ExitStack() as stack:
        wait_for(count, service)
        frozen = workers(service) or [service.process.pid]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        connections = []
        for _ in range(40):
            connections.append(stack.enter_context(socket.create_connection(service.address(), timeout=20)))
            connections[-1].sendall(PREDICT)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        assert [responses(connection, 1)[0][0] for connection in connections] == [OK] * 40
        assert service.process.wait(timeout=20) == (-signal.SIGTERM if count == 1 else 0)


def test_two_workers_refuse_at_once_and_finish_what_has_begun() -> None:
    with two_workers() as service, ExitStack() as stack:
        begun = [stack.enter_context(socket.create_connection(service.address(), timeout=20)) for _ in range(8)]
        for connection in begun:
            connection.sendall(PREDICT[:200])
        time.sleep(0.2)
        service.process.terminate()
        time.sleep(0.3)
        with pytest.raises(ConnectionRefusedError):
            ask(service.address())
        for connection in begun:
            connection.sendall(PREDICT[200:])
        for connection in begun:
            assert responses(connection, 1)[0][0] == OK
        assert service.process.wait(timeout=20) == 0


def test_an_open_connection_is_told_that_it_ends() -> None:
    with running_service() as service, socket.create_connection(service.address(), timeout=20) as connection:
        connection.sendall(PREDICT)
        assert "connection" not in responses(connection, 1)[0][1]
        service.process.terminate()
        time.sleep(0.3)
        connection.sendall(PREDICT)
        status, headers, _ = responses(connection, 1)[0]
        assert status == OK
        assert headers["connection"].startswith("close")


def test_one_worker_ignores_sighup() -> None:
    outcomes: list[str] = []
    with running_service() as service, clients(service.address(), outcomes):
        service.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
    assert set(outcomes) == {OK}


def test_sighup_replaces_two_workers_and_loses_nothing() -> None:
    outcomes: list[str] = []
    with two_workers() as service:
        before = set(workers(service))
        with clients(service.address(), outcomes):
            service.process.send_signal(signal.SIGHUP)
            wait_for(4, service)
            deadline = time.monotonic() + 20
            while before & set(workers(service)):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert len(workers(service)) == 2
    assert set(outcomes) == {OK}


def test_a_killed_worker_is_replaced() -> None:
    with two_workers() as service:
        killed = workers(service)[0]
        started = time.monotonic()
        os.kill(killed, signal.SIGKILL)
        wait_for(3, service)
        assert time.monotonic() - started < 10
        assert [line for line in service.log if f"worker {killed} ended with exit code -9" in line]
        assert {ask(service.address()) for _ in range(20)} == {OK}


def test_a_disk_without_room_stops_no_worker_that_runs() -> None:
    with two_workers() as service:
        folder = metrics_folder(workers(service)[0])
        assert len(list(folder.iterdir())) == 2 * len(FILES)  # none is made later
        for path in folder.iterdir():
            assert 512 * path.stat().st_blocks >= path.stat().st_size
        limits = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        os.kill(workers(service)[0], signal.SIGKILL)
        wait_for(1, service, "could not start (exit code 1): the others go on")
        assert any("the metrics have no room: File too large" in line for line in service.log)
        assert {ask(service.address()) for _ in range(20)} == {OK}
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, limits)
        wait_for(3, service)


def test_workers_end_when_their_parent_is_killed() -> None:
    with two_workers() as service:
        service.process.kill()
        deadline = time.monotonic() + 10
        while True:
            try:
                ask(service.address())
            except ConnectionRefusedError:
                break
            except OSError:  # in the very moment in which the last one ends
                pass
            assert time.monotonic() < deadline


@pytest.mark.parametrize("count", [1, 2])
def test_connections_wait_while_descriptors_are_short(count: int) -> None:
    with running_service("--workers", str(count)) as service, ExitStack() as stack:
        wait_for(count, service)
        for pid in workers(service) or [service.process.pid]:
            used = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 9, used + 9))
        connections = [socket.create_connection(service.address(), timeout=20) for _ in range(40)]
        for connection in connections:
            stack.enter_context(connection)
            connection.sendall(PREDICT.replace(b"localhost", b"localhost\r\nConnection: close"))
        assert [responses(connection, 1)[0][0] for connection in connections] == [OK] * 40
        held = [stack.enter_context(socket.create_connection(service.address())) for _ in range(40)]
        time.sleep(0.2)
        assert any("no connection is accepted for 1 s: Too many open files" in line for line in service.log)
        for connection in held:
            connection.close()
        assert ask(service.address(), LIVE) == OK
