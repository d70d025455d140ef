"""What can happen to a server."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import psycopg
import pytest

from serving.errors import StoreFailure
from serving.index import postgres
from serving.index.follower import Follower
from serving.index.group import Bounds
from serving.index.live import LiveIndex
from serving.index.postgres import PostgresStore
from tests.serving.index.documented import documented
from tests.serving.index.given import DIM, MODEL, put, vectors, written
from tests.serving.index.postgres import PostgresServer
from tests.serving.index.test_live import bundle


@pytest.fixture
def address(server: PostgresServer) -> str:
    return server.new_schema()


@pytest.fixture
def store(address: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore(address, Bounds())) as store:
        yield store


def test_pgvector_is_installed_where_it_is_not(server: PostgresServer) -> None:
    with closing(PostgresStore(server.new_database(), Bounds())) as store:
        assert store.totals().items == 0
        written(store.write([put("a")])[0])


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_was_away_is_used_again(store: PostgresStore, server: PostgresServer, mode: str) -> None:
    store.write([put("a")])
    store.wait(0)
    server.stop(mode)
    try:
        for act in (store.totals, lambda: store.write([put("b")]), lambda: store.wait(1)):
            with pytest.raises(StoreFailure, match="cannot be reached, or does not answer"):
                act()
    finally:
        server.start()
    assert [one.id for one in store.page(9)] == ["a"]
    written(store.write([put("b")])[0])
    store.wait(0)


def test_a_server_that_hangs_is_not_waited_for(
    store: PostgresStore, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "TIMEOUT_S", 0.3)
    store.write([put("a")])
    store.totals()
    server.freeze()
    try:
        for act in (store.totals, lambda: store.write([put("b")])):
            start = time.monotonic()
            with pytest.raises(StoreFailure, match="does not answer"):
                act()
            assert time.monotonic() - start < 2
    finally:
        server.thaw()
    assert "a" in store.get(["a", "b"])
    written(store.write([put("b")])[0])


def test_where_nobody_listens_is_told_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    store = PostgresStore("postgresql://me:secret@127.0.0.1:1/x", Bounds())
    with closing(store), pytest.raises(StoreFailure, match="cannot be reached") as raised:
        store.totals()
    assert "secret" not in str(raised.value) + caplog.text


@pytest.mark.parametrize(
    ("statements", "match"),
    [
        ("CREATE TABLE fewlabel_state (version int); INSERT INTO fewlabel_state VALUES (3)", "schema 3, and this"),
        ("CREATE TABLE fewlabel_state (other int)", "refuses"),
        ("CREATE TABLE fewlabel_items (id int)", "refuses"),
    ],
)
def test_foreign_tables_are_left_alone(store: PostgresStore, address: str, statements: str, match: str) -> None:
    with psycopg.connect(address, autocommit=True) as other:
        other.execute(statements.encode())
        with pytest.raises(StoreFailure, match=match):
            store.write([put("a")])
        tables = other.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()").fetchone()
    assert tables == (1,)


def test_a_user_who_may_not_create_tables_is_told(store: PostgresStore, address: str) -> None:
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("DROP ROLE IF EXISTS guest")
        other.execute("CREATE ROLE guest LOGIN")
    with closing(PostgresStore(address.replace("postgres@", "guest@"), Bounds())) as guest:
        assert guest.totals().items == 0
        with pytest.raises(StoreFailure, match="refuses"):
            guest.write([put("a")])


def test_commits_are_durable_even_where_the_server_would_not_care(store: PostgresStore, address: str) -> None:
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("ALTER ROLE postgres SET synchronous_commit = off")
        try:
            with store._writer.use() as session:
                assert session.rows("SHOW synchronous_commit") == [("on",)]
        finally:
            other.execute("ALTER ROLE postgres RESET synchronous_commit")


def test_the_address_wins_over_what_is_set_here(address: str) -> None:
    store = PostgresStore(f"{address}&application_name=mine&connect_timeout=9", Bounds())
    with closing(store), store._writer.use() as session:
        assert session.rows("SHOW application_name") == [("mine",)]
        assert session.connection.info.get_parameters()["connect_timeout"] == "9"


def test_a_change_is_told_at_once(store: PostgresStore, address: str) -> None:
    store.wait(0)  # listens from now on
    with closing(PostgresStore(address, Bounds())) as other:
        other.write([put("warm")])
        store.wait(5)
        timer = threading.Timer(0.2, lambda: other.write([put("a")]))
        timer.start()
        start = time.monotonic()
        store.wait(10)
        assert time.monotonic() - start < 5
        timer.join()


def test_numbers_become_visible_in_their_order(store: PostgresStore, address: str) -> None:
    """The trap of sequences: number 2 is taken after number 1, and committed before it; a follower at 2 misses 1."""
    store.write([put("first")])
    with closing(PostgresStore(address, Bounds())) as slow, closing(PostgresStore(address, Bounds())) as follower:
        done = threading.Event()

        def write() -> None:
            store.write([put("quick")])
            done.set()

        quick = threading.Thread(target=write)
        with slow._writing() as run:
            totals = slow._totals(run, slow.LOCK)
            quick.start()
            assert not done.wait(0.5)  # it takes no number before the slow one is committed
            assert follower.changes_since(1, 10).each == []
            run.many("INSERT INTO fewlabel_tombstones VALUES (?, ?)", [(totals.sequence + 1, "slow")])
            run.many("UPDATE fewlabel_state SET sequence = ?", [(totals.sequence + 1,)])
        quick.join(10)
        assert [(one.id, one.sequence) for one in follower.changes_since(1, 10).each] == [("slow", 2), ("quick", 3)]


def test_a_client_that_vanished_keeps_nobody_from_writing_for_long(store: PostgresStore, address: str) -> None:
    """Its connection stays open, as when the network between it and the server has failed."""
    store.write([put("first")])
    with closing(PostgresStore(address, Bounds())) as vanished:
        transaction = vanished._writing()
        vanished._totals(transaction.__enter__(), vanished.LOCK)
        start = time.monotonic()
        written(store.write([put("second")])[0])
        assert time.monotonic() - start < postgres.TIMEOUT_S - 1
        with pytest.raises(StoreFailure):
            transaction.__exit__(None, None, None)
    assert "second" in store.get(["second"])


def test_pgvector_finds_by_the_documents_sql_what_exact_search_finds(store: PostgresStore, address: str) -> None:
    rows, labels = vectors(500), [f"{number % 5}" for number in range(500)]
    store.write([put(f"{number}", vector=row, label=labels[number]) for number, row in enumerate(rows)])
    store.write([put(f"short {number}", vector=row[:3], model="other@1") for number, row in enumerate(rows[:9])])
    with psycopg.connect(address, autocommit=True) as other:
        for statement in (*documented("create", MODEL, DIM), "SET enable_seqscan = off", "SET enable_sort = off"):
            other.execute(statement.encode())
        for statement in documented("settings", MODEL, DIM):
            other.execute(statement.encode())
        hits = 0
        for name, among in (("search", np.arange(500)), ("filtered", np.arange(500)[3::5])):
            (query,) = documented(name, MODEL, DIM)
            for row in rows[:20]:
                fields = {"embedding": str(row.tolist()), "label": "3"}
                found = other.execute(query.encode(), fields).fetchall()
                nearest = among[np.argsort(-(rows[among] @ row))[:10]]
                hits += len({one[0] for one in found} & {str(number) for number in nearest})
                assert [one[3] for one in found] == pytest.approx(
                    sorted((float(rows[int(one[0])] @ row) for one in found), reverse=True), abs=1e-6
                )
            plan = " ".join(one[0] for one in other.execute(f"EXPLAIN {query}".encode(), fields))
            assert "Index Scan using fewlabel_hnsw" in plan
    assert hits >= 380


def test_a_follower_notices_tables_that_were_made_again(store: PostgresStore, address: str) -> None:
    live = LiveIndex(bundle(20), MODEL, DIM)
    follower = Follower(store, live)
    store.write([put("a"), put("b")])
    follower.catch_up()
    with psycopg.connect(address, autocommit=True) as other:
        for name in ("state", "items", "pictures", "tombstones"):
            other.execute(f"DROP TABLE fewlabel_{name}".encode())
    store.close()
    store.write([put(f"other {number}") for number in range(5)])
    follower.catch_up()
    assert live.items == {f"other {number}" for number in range(5)}
