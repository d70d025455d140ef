"""What both stores have in common: tables, statements, and their order. Opens no connection."""

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from serving.index.group import Bounds, Group, Totals
from serving.index.items import Gone, Item, Result, Source, Vector, Write
from serving.index.store import KEPT_CHANGES, MAX_GROUP, Changes

VERSION = 2
"""Of the tables."""
TABLES = """
CREATE TABLE fewlabel_state (version BIGINT NOT NULL, sequence BIGINT NOT NULL, items BIGINT NOT NULL,
    bytes BIGINT NOT NULL, store TEXT NOT NULL);
CREATE TABLE fewlabel_items (id {text} PRIMARY KEY, sequence BIGINT NOT NULL UNIQUE, source TEXT NOT NULL, label {text},
    label_source TEXT, metadata TEXT NOT NULL, model TEXT, vector {vector}, size BIGINT NOT NULL,
    created DOUBLE PRECISION NOT NULL, changed DOUBLE PRECISION NOT NULL);
CREATE INDEX fewlabel_items_label ON fewlabel_items (label, id);
CREATE TABLE fewlabel_pictures (id {text} PRIMARY KEY, image {blob} NOT NULL, thumbnail {blob} NOT NULL);
CREATE TABLE fewlabel_tombstones (sequence BIGINT PRIMARY KEY, id {text} NOT NULL);
INSERT INTO fewlabel_state VALUES ({version}, 0, 0, 0, '{store}')
"""
"""Pixels lie apart, so that a new label does not write them again."""
COLUMNS = (
    "id", "sequence", "source", "label", "label_source", "metadata", "model", "vector", "size", "created", "changed",
)  # fmt: skip
ITEMS = "SELECT {columns} FROM fewlabel_items WHERE "
CHANGES = """
SELECT {columns} FROM fewlabel_items WHERE sequence > ? UNION ALL
SELECT id, sequence, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM fewlabel_tombstones WHERE sequence > ?
ORDER BY sequence LIMIT ?
"""
PUT_ITEM = f"""
INSERT INTO fewlabel_items ({", ".join(COLUMNS)}) VALUES ({{values}})
ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])}
"""  # noqa: S608
PUT_PICTURE = """
INSERT INTO fewlabel_pictures (id, image, thumbnail) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET image = excluded.image, thumbnail = excluded.thumbnail
"""


class Statements(Protocol):
    """A connection inside a transaction; parameters stand as `?`."""

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What one statement answers."""

    def many(self, sql: str, parameters: Sequence[Sequence[object]]) -> None:
        """One statement with each of the parameters."""

    def place(self) -> str:
        """Tells this database from its copies."""


class SqlStore(ABC):
    """A `Store` but for its connections.

    A transaction that writes locks the state's only row before it takes numbers. So changes are committed, and become
    visible, in the order of their numbers, and no follower can pass one that is not there yet.
    """

    LOCK = ""
    """Suffix of a SELECT that makes other writers wait, where BEGIN has not done it."""
    READ_VECTOR, WRITE_VECTOR = "vector", "?"

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        columns = ", ".join(self.READ_VECTOR if name == "vector" else name for name in COLUMNS)
        self._items, self._changes = ITEMS.format(columns=columns), CHANGES.format(columns=columns)
        values = ", ".join(self.WRITE_VECTOR if name == "vector" else "?" for name in COLUMNS)
        self._put_item = PUT_ITEM.format(values=values)

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Statements | None]:
        """One snapshot of all tables; None as long as nothing was written."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Statements]:
        """A transaction, committed durably at its end; creates the tables."""

    @abstractmethod
    def _overwritten(self) -> None:
        """Called when something that was there before is committed to be no longer."""

    @abstractmethod
    def _encoded(self, vector: Vector) -> object:
        """As WRITE_VECTOR takes it."""

    @abstractmethod
    def _decoded(self, value: bytes) -> Vector:
        """As READ_VECTOR gives it."""

    def write(self, writes: Sequence[Write]) -> list[Result]:
        """See `Store.write`."""
        _check_count(writes)
        with self._writing() as run:
            totals = self._totals(run, self.LOCK)  # first, since it waits for other writers
            group = Group(self._found(run, [write.id for write in writes]), totals, self._bounds, time.time())
            group.fold(writes)
            if group.totals != totals:
                self._save(run, group)
        if group.overwrites:
            self._overwritten()
        return group.results

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        """See `Store.get`."""
        _check_count(ids)
        with self._reading() as run:
            return self._found(run, ids) if run else {}

    def page(self, limit: int, after: str = "", label: str | None = None, source: Source | None = None) -> list[Item]:
        """See `Store.page`."""
        where, parameters = "id > ?", [after]
        if label is not None:
            where += " AND label = ?" if label else " AND label IS NULL"
            parameters += [label] if label else []
        if source is not None:
            where, parameters = f"{where} AND source = ?", [*parameters, source]
        return self._page(where, parameters, limit)

    def outdated(self, model: str, limit: int, after: str = "") -> list[Item]:
        """See `Store.outdated`."""
        return self._page("id > ? AND source = 'user' AND model <> ?", [after, model], limit)

    def image(self, own_id: str) -> bytes | None:
        """See `Store.image`."""
        return self._picture("image", own_id)

    def images(self, ids: Sequence[str]) -> dict[str, bytes]:
        """See `Store.images`."""
        _check_count(ids)
        with self._reading() as run:
            query = f"SELECT id, image FROM fewlabel_pictures WHERE id IN ({', '.join('?' * len(ids))})"  # noqa: S608
            return dict(run.rows(query, ids)) if run else {}

    def thumbnail(self, own_id: str) -> bytes | None:
        """See `Store.thumbnail`."""
        return self._picture("thumbnail", own_id)

    def changes_since(self, sequence: int, limit: int) -> Changes:
        """See `Store.changes_since`."""
        with self._reading() as run:
            if run is None:
                return Changes([], 0)
            rows = run.rows(self._changes, (sequence, sequence, limit))
            source = COLUMNS.index("source")
            each = [Gone(*row[:2]) if row[source] is None else self._item(row) for row in rows]
            ((store,),) = run.rows("SELECT store FROM fewlabel_state")
            return Changes(each, self._totals(run).sequence, f"{store} {run.place()}")

    def totals(self) -> Totals:
        """See `Store.totals`."""
        with self._reading() as run:
            return self._totals(run) if run else Totals()

    def _totals(self, run: Statements, lock: str = "") -> Totals:
        return Totals(*run.rows(f"SELECT sequence, items, bytes FROM fewlabel_state{lock}")[0])  # noqa: S608

    def _found(self, run: Statements, ids: Sequence[str]) -> dict[str, Item]:
        rows = run.rows(f"{self._items} id IN ({', '.join('?' * len(ids))})", ids)
        return {item.id: item for item in map(self._item, rows)}

    def _page(self, where: str, parameters: Sequence[object], limit: int) -> list[Item]:
        with self._reading() as run:
            rows = run.rows(f"{self._items} {where} ORDER BY id LIMIT ?", [*parameters, limit]) if run else []
        return list(map(self._item, rows))

    def _picture(self, column: str, own_id: str) -> bytes | None:
        with self._reading() as run:
            rows = run.rows(f"SELECT {column} FROM fewlabel_pictures WHERE id = ?", [own_id]) if run else []  # noqa: S608
        return cast(bytes, rows[0][0]) if rows else None

    def _item(self, row: Sequence[Any]) -> Item:
        fields = dict(zip(COLUMNS, row, strict=True))
        if fields["vector"] is not None:
            fields["vector"] = self._decoded(fields["vector"])
        return Item(**fields)

    def _row(self, item: Item) -> list[object]:
        vector = None if item.vector is None else self._encoded(item.vector)
        return [vector if name == "vector" else getattr(item, name) for name in COLUMNS]

    def _save(self, run: Statements, group: Group) -> None:
        gone, last = [(one.id,) for one in group.gone], group.totals.sequence
        run.many("DELETE FROM fewlabel_pictures WHERE id = ?", gone)
        run.many("DELETE FROM fewlabel_items WHERE id = ?", gone)
        run.many("INSERT INTO fewlabel_tombstones VALUES (?, ?)", [(one.sequence, one.id) for one in group.gone])
        run.many("DELETE FROM fewlabel_tombstones WHERE sequence <= ?", [(last - KEPT_CHANGES,)])
        run.many(self._put_item, [self._row(group.items[own_id]) for own_id in sorted(group.changed)])
        pictures = [(own_id, put.image, put.thumbnail) for own_id, put in group.pictures.items()]
        run.many(PUT_PICTURE, pictures)
        totals = (group.totals.sequence, group.totals.items, group.totals.bytes)
        run.many("UPDATE fewlabel_state SET sequence = ?, items = ?, bytes = ?", [totals])


def new_tables(**types: str) -> list[str]:
    """Statements that make the tables of a new store, with the database's own names of `types`."""
    return TABLES.format(**types, version=VERSION, store=uuid.uuid4().hex).split(";")


def _check_count(values: Sequence[object]) -> None:
    if not 0 < len(values) <= MAX_GROUP:
        raise ValueError(f"{len(values)} are not 1 to {MAX_GROUP}")
