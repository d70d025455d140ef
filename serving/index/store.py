"""The one interface to where the index keeps items, and the choice between its two implementations.

Every method blocks, and may be called from any thread. All raise StoreFailure where the store cannot be read or
written, with one sentence that says what is wrong; what was committed before stays.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from serving.errors import StoreFailure
from serving.index.group import Bounds, Totals
from serving.index.items import Gone, Item, Result, Source, Write

MAX_GROUP = 512
"""Writes that are committed together, at most."""
KEPT_CHANGES = 100_000
"""A tombstone is kept until so many changes have followed it."""
POSTGRES = ("postgresql://", "postgres://")


class Changes(NamedTuple):
    """Some of what happened after a change, in order."""

    each: list[Item | Gone]
    """Items as they are now, each once, and ids that are gone."""
    latest: int
    """Number of the store's last change. Tombstones of changes up to `latest - KEPT_CHANGES` may be missing."""
    store: str = ""
    """Names the store that told them: never that of another, nor of a copy. Empty as long as nothing was written."""


class Store(Protocol):
    """Items, images and the sequence of their changes. Nothing is created before the first write."""

    def write(self, writes: Sequence[Write]) -> list[Result]:
        """Does at most MAX_GROUP writes in order and commits them together: durable when it returns.

        What is wrong with one write is its result, and no other's. Raises StoreFull where the disk is full.
        """

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        """Those of at most MAX_GROUP items that there are."""

    def page(self, limit: int, after: str = "", label: str | None = None, source: Source | None = None) -> list[Item]:
        """At most `limit` items in the order of their ids, from behind `after`; of one label ("": none), one source."""

    def outdated(self, model: str, limit: int, after: str = "") -> list[Item]:
        """As `page`: users' items whose vector another model made."""

    def image(self, own_id: str) -> bytes | None:
        """The file as it was sent; None where there is none."""

    def images(self, ids: Sequence[str]) -> dict[str, bytes]:
        """As `image`, those of at most MAX_GROUP items that there are; the caller bounds their bytes."""

    def thumbnail(self, own_id: str) -> bytes | None:
        """Likewise."""

    def changes_since(self, sequence: int, limit: int) -> Changes:
        """At most `limit` changes with higher numbers. Whoever continues with the last one's number misses none."""

    def totals(self) -> Totals:
        """How much there is."""

    def wait(self, timeout_s: float) -> None:
        """Returns when something may have changed, after `timeout_s` at the latest; for one thread."""

    def wake(self) -> None:
        """Makes a `wait` under way, or else the next one, return as soon as it can."""

    def backup(self, path: Path) -> None:
        """Writes all that is committed into one new file; raises StoreFailure where the store has tools of its own."""

    def close(self) -> None:
        """Closes all connections; a later call opens them again."""


def open_store(address: str, bounds: Bounds | None = None) -> Store:
    """The store at `address`: postgresql://… or the path of an SQLite file. Connects to nothing yet."""
    bounds = bounds or Bounds()
    if address.startswith(POSTGRES):
        try:
            from serving.index.postgres import PostgresStore
        except ImportError as error:
            raise StoreFailure("an index in PostgreSQL needs psycopg: pip install 'fewlabel[postgres]'") from error
        return PostgresStore(address, bounds)
    from serving.index.sqlite import SqliteStore

    return SqliteStore(Path(address), bounds)
