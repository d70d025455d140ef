"""A model that hangs: its process ends, and another takes its place where there is one to start it."""

import socket
import sys
import time
from pathlib import Path

from tests.e2e.test_stop import LIVE, OK, PREDICT, ask, wait_for
from tests.servers import running
from tests.serving.hanging import HANG_TIMEOUT_S

ENDS = f"CRITICAL: the model has been in one batch for {HANG_TIMEOUT_S:g} s: this process ends\n"


def test_one_worker_ends_with_a_line_and_a_code(tmp_path: Path) -> None:
    (flag := tmp_path / "hang").touch()
    with running([sys.executable, "-m", "tests.serving.hanging", "1", str(flag)]) as service:
        assert ask(service.address()).startswith("HTTP/1.1 504")
        time.sleep(0.1)
        assert ask(service.address(), LIVE).startswith("HTTP/1.1 503")
        assert service.process.wait(timeout=10) == 70
    assert ENDS in service.log


def test_a_loop_without_turns_ends_its_process(tmp_path: Path) -> None:
    with (
        running([sys.executable, "-m", "tests.serving.hanging", "1", str(tmp_path / "never")]) as service,
        socket.create_connection(service.address(), timeout=20) as connection,
    ):
        connection.sendall(LIVE.replace(b"/health/live", b"/block"))
        assert service.process.wait(timeout=HANG_TIMEOUT_S + 10) == 1
    assert any("in block" in line for line in service.log)


def test_one_of_two_workers_is_replaced(tmp_path: Path) -> None:
    (flag := tmp_path / "hang").touch()
    with running([sys.executable, "-m", "tests.serving.hanging", "2", str(flag)]) as service:
        wait_for(2, service)
        started = time.monotonic()
        assert ask(service.address()).startswith("HTTP/1.1 504")
        wait_for(3, service)
        assert time.monotonic() - started < HANG_TIMEOUT_S + 10
        assert {ask(service.address(), PREDICT) for _ in range(20)} == {OK}
        assert ENDS in service.log
        assert any("ended with exit code 70: another is started" in line for line in service.log)
