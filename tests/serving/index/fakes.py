"""A store that does what a test tells it."""

import threading
from collections.abc import Sequence
from pathlib import Path

from serving.index.group import Bounds
from serving.index.items import Result, Write
from serving.index.sqlite import SqliteStore


class HeldStore(SqliteStore):
    """Waits before each commit while it is held, raises what it is told to, and remembers the sizes of groups."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Bounds())
        self.free, self.entered = threading.Event(), threading.Event()
        self.free.set()
        self.error: BaseException | None = None
        self.groups: list[int] = []

    def write(self, writes: Sequence[Write]) -> list[Result]:
        self.groups.append(len(writes))
        self.entered.set()
        assert self.free.wait(10)
        if self.error:
            raise self.error
        return super().write(writes)
