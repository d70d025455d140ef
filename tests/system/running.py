"""Other programs, each in a folder of its own and stopped whatever happens."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.programs import find

START_S = 20


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def needed(program: str) -> str:
    """Where a program is; skips the test where it is not installed."""
    if (path := find(program)) is None:
        pytest.skip(f"{program} is not installed")
    return path


@contextmanager
def running(arguments: list[str], folder: Path, port: int) -> Iterator[Path]:
    """A program that listens on `port`; gives the file that has what it writes."""
    output = folder / "output"
    with output.open("w") as file:
        process = subprocess.Popen(arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        try:
            wait_for(process, port, output)
            yield output
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(process: "subprocess.Popen[bytes]", port: int, output: Path) -> None:
    """Until the program listens."""
    deadline = time.monotonic() + START_S
    while True:
        assert process.poll() is None, output.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        else:
            return
