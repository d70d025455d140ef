"""The store in PostgreSQL with pgvector, shared by machines.

Vectors lie in a column `vector` without a dimension: float32 as they were made, so that every replica finds what any
other finds, of models of any dimension. An index for pgvector's own search then names one model and its dimension:

    CREATE INDEX CONCURRENTLY ON fewlabel_items USING hnsw ((vector::halfvec(64)) halfvec_cosine_ops)
        WHERE model = 'name@version'

A database holds one index.
"""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from serving.errors import ServiceError, StoreFailure, StoreFull
from serving.index.group import Bounds
from serving.index.items import Vector
from serving.index.link import Link
from serving.index.sql import VERSION, SqlStore, Statements, new_tables

CHANNEL = "fewlabel_index"
CREATION_LOCK = 0x46574C42
"""Key of the advisory lock that is held while the tables are created."""
TIMEOUT_S = 5.0
"""Seconds that one transaction may take; the connection is cut after them, whatever the server does."""
DEFAULTS = {
    "application_name": "fewlabel",
    "connect_timeout": 2,
    "tcp_user_timeout": 2000,  # milliseconds: a dead network is noticed, and the connection made again
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}
"""Of libpq, where the address does not say otherwise."""
DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
"""A server may be set to answer before a commit is on the disk."""
BOUNDS = {
    "idle_in_transaction_session_timeout": "2000",  # milliseconds
    "tcp_keepalives_idle": "2",  # seconds
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "3000",  # milliseconds
}
"""By which the server ends the transaction of a client that has vanished, and others may write. The first alone does
not: it does not run while the server waits for the rest of several statements that are sent together."""
BOUNDED = "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in BOUNDS.items())
FAILURES = (psycopg.Error, OSError)


class Session:
    """One connection."""

    def __init__(self, address: str) -> None:
        self.connection = psycopg.connect(_completed(address), autocommit=True)
        self._is_new = True
        self.rows(DURABLE)
        self.rows(BOUNDED)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What one statement answers."""
        with self.connection.cursor(binary=True) as cursor:
            cursor.execute(_query(sql), parameters)
            return cursor.fetchall() if cursor.description else []

    def many(self, sql: str, parameters: Sequence[Sequence[object]]) -> None:
        """One statement with each of the parameters, without waiting for the answer to each."""
        with self.connection.cursor() as cursor:
            cursor.executemany(_query(sql), parameters)

    def close(self) -> None:
        """Rolls back what is not committed."""
        self.connection.close()

    def is_new(self) -> bool:
        """Whether there are no tables yet; raises StoreFailure where they are not ours."""
        if self._is_new and self.rows("SELECT 1 WHERE to_regclass('fewlabel_state') IS NOT NULL"):
            ((version,),) = self.rows("SELECT version FROM fewlabel_state")
            if version != VERSION:
                raise StoreFailure(f"the index has schema {version}, and this version of fewlabel knows {VERSION}")
            self._is_new = False
        return self._is_new

    def place(self) -> str:
        """See `Statements.place`: a dump that is read back makes tables with new numbers."""
        return str(self.rows("SELECT 'fewlabel_state'::regclass::oid::text")[0][0])

    @contextmanager
    def transaction(self, level: psycopg.IsolationLevel) -> Iterator[None]:
        """A transaction that ends within TIMEOUT_S."""
        timer = threading.Timer(TIMEOUT_S, _cut, [self.connection])
        timer.daemon = True
        timer.start()
        try:
            self.connection.isolation_level = level
            with self.connection.transaction():
                yield
        finally:
            timer.cancel()


class PostgresStore(SqlStore):
    """A `Store` in PostgreSQL 15 or newer with pgvector."""

    LOCK = " FOR UPDATE"
    READ_VECTOR, WRITE_VECTOR = "vector_send(vector)", "?::vector"

    def __init__(self, address: str, bounds: Bounds) -> None:
        super().__init__(bounds)
        self._reader = Link(lambda: Session(address), FAILURES, told)
        self._writer = Link(lambda: _writing(address), FAILURES, told)
        self._listener = Link(lambda: _listening(address), FAILURES, told)

    def wait(self, timeout_s: float) -> None:
        """See `Store.wait`."""
        with self._listener.use() as session:
            for _ in session.connection.notifies(timeout=timeout_s, stop_after=1):
                pass

    def wake(self) -> None:
        """See `Store.wake`: a wait under way ends when its time is up."""

    def backup(self, path: Path) -> None:  # noqa: ARG002
        """See `Store.backup`."""
        raise StoreFailure("an index in PostgreSQL is backed up by PostgreSQL's own tools: pg_dump -t 'fewlabel_*'")

    def close(self) -> None:
        """See `Store.close`."""
        for link in (self._reader, self._writer, self._listener):
            link.close()

    @contextmanager
    def _reading(self) -> Iterator[Statements | None]:
        with self._reader.use() as session, session.transaction(psycopg.IsolationLevel.REPEATABLE_READ):
            yield None if session.is_new() else session

    @contextmanager
    def _writing(self) -> Iterator[Statements]:
        with self._writer.use() as session, session.transaction(psycopg.IsolationLevel.READ_COMMITTED):
            yield session
            session.rows(f"NOTIFY {CHANNEL}")

    def _overwritten(self) -> None:
        """Its log and its dead rows are the server's."""

    def _encoded(self, vector: Vector) -> str:
        return f"[{','.join(map(repr, vector.tolist()))}]"

    def _decoded(self, value: bytes) -> Vector:
        return np.frombuffer(value, ">f4", offset=4).astype(np.float32)  # behind the dimension


def _completed(address: str) -> str:
    given: dict[str, Any] = {**DEFAULTS, **conninfo_to_dict(address)}
    return make_conninfo(**given)


def _listening(address: str) -> Session:
    session = Session(address)
    session.rows(f"LISTEN {CHANNEL}")
    return session


def _writing(address: str) -> Session:
    """With all tables. Nothing is looked up before the lock is held: PostgreSQL would remember that it was absent."""
    session = Session(address)
    try:
        with session.transaction(psycopg.IsolationLevel.READ_COMMITTED):
            session.rows("SELECT pg_advisory_xact_lock(?)", [CREATION_LOCK])
            if session.is_new():
                session.rows("CREATE EXTENSION IF NOT EXISTS vector")
                for statement in new_tables(text='TEXT COLLATE "C"', blob="BYTEA", vector="VECTOR"):
                    session.rows(statement)
    except BaseException:
        session.close()
        raise
    return session


def _query(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def _cut(connection: "psycopg.Connection[Any]") -> None:
    """Ends a connection that another thread waits for, which then gets an OperationalError."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)


def told(error: Exception) -> ServiceError:
    """What the client reads of a failure; the address, which may hold a password, is not in it."""
    if isinstance(error, psycopg.errors.DiskFull):
        return StoreFull("the disk of the index's PostgreSQL is full")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StoreFailure("the index's PostgreSQL cannot be reached, or does not answer")
    if isinstance(error, psycopg.errors.UndefinedFile | psycopg.errors.UndefinedObject):
        return StoreFailure("the index's PostgreSQL has no pgvector")
    return StoreFailure("the index's PostgreSQL refuses what is asked of it; the server's log tells more")
