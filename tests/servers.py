"""The service as people run it: a process of its own on a free port."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT


@dataclass
class Service:
    """A running `python -m serving`."""

    process: "subprocess.Popen[str]"
    url: str = ""
    log: list[str] = field(default_factory=list)
    _reader: threading.Thread | None = None

    def read_until_it_listens(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                self.url = found[1]
                self._reader = threading.Thread(target=self._read_on, daemon=True)
                self._reader.start()
                return
        raise AssertionError(f"the service ended with {self.process.wait()}:\n{''.join(self.log)}")

    def _read_on(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def close(self) -> None:
        """To be called when the process has ended."""
        if self._reader:
            self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "serving", *arguments]


@contextmanager
def running_service(*arguments: str) -> Iterator[Service]:
    """The committed bundle, served; whatever happens, the process ends."""
    with running(command("--port", "0", *arguments)) as service:
        yield service


@contextmanager
def running(arguments: list[str]) -> Iterator[Service]:
    """Any command that serves."""
    process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=clean_environment())
    service = Service(process)
    try:
        service.read_until_it_listens()
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        service.close()


def clean_environment(**variables: str) -> dict[str, str]:
    """This process's, without settings of the service."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FEWLABEL_", "DIGITS_"))}
    return {**kept, **variables}
