"""What becomes of a file that is moved, replaced or overwritten while it is used."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from serving.errors import StoreFailure
from serving.index.follower import Follower
from serving.index.group import Bounds
from serving.index.items import Label
from serving.index.sqlite import SqliteStore
from tests.serving.index.given import put, written
from tests.serving.index.test_follower import check, new_live, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path, Bounds())) as store:
        yield store


def found(path: Path, text: bytes) -> bool:
    """Whether a text stands in any of the store's files."""
    return any(text in one.read_bytes() for one in path.parent.glob("index.sqlite*"))


def test_a_replaced_file_is_not_mixed_with_the_formers_log(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    store.write([put(f"old {number}", image=b"x" * 9000) for number in range(20)])
    store.backup(tmp_path / "bak")
    for number in range(20):
        store.write([put(f"new {number}", image=b"y" * 9000)])
    store.totals()
    (tmp_path / "bak").rename(path)
    with pytest.raises(StoreFailure, match="replaced while it was in use"):
        store.totals()
    for _ in range(2):
        with pytest.raises(StoreFailure, match="the log of the former one"):
            store.write([put("after")])
        with pytest.raises(StoreFailure, match="the log of the former one"):
            store.page(100)
    for name in ("index.sqlite-wal", "index.sqlite-shm"):
        path.with_name(name).unlink(missing_ok=True)
    assert [one.id for one in store.page(100)] == sorted(f"old {number}" for number in range(20))
    written(store.write([put("after")])[0])
    store.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("SELECT count(*) FROM fewlabel_items").fetchall() == [(21,)]


def test_a_file_that_vanished_is_no_empty_store(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    live = new_live()
    follower = Follower(store, live)
    store.write([put("a")])
    follower.catch_up()
    for _ in range(2):  # also with all connections closed
        path.rename(tmp_path / "away")
        for act in (store.totals, follower.catch_up, lambda: store.page(9), lambda: store.write([put("b")])):
            with pytest.raises(StoreFailure, match="gone"):
                act()
        assert not path.exists()
        assert not follower.current
        assert live.known("a")
        (tmp_path / "away").rename(path)
        assert [one.id for one in store.page(9)] == ["a"]
        follower.catch_up()
        store.close()
    written(store.write([put("b")])[0])


def test_a_file_that_vanished_before_it_was_written_is_not_made_again(path: Path) -> None:
    with closing(SqliteStore(path, Bounds())) as store:
        store.write([put("a")])
    with closing(SqliteStore(path, Bounds())) as store:
        assert store.totals().items == 1
        path.unlink()
        with pytest.raises(StoreFailure, match="gone"):
            store.write([put("b")])
    assert not path.exists()


def test_a_follower_notices_another_store_with_more_changes(tmp_path: Path) -> None:
    path, live = tmp_path / "index.sqlite", new_live()
    with closing(SqliteStore(tmp_path / "other", Bounds())) as other:
        other.write([put(f"other {number}") for number in range(9)])
    with closing(SqliteStore(path, Bounds())) as store:
        follower = Follower(store, live)
        store.write([put("a"), put("b")])
        follower.catch_up()
        store.close()
        (tmp_path / "other").rename(path)
        follower.catch_up()
        assert live.items == {f"other {number}" for number in range(9)}
        check(live, store)


def test_a_follower_notices_a_backup_that_was_written_past_it(tmp_path: Path) -> None:
    path, live = tmp_path / "index.sqlite", new_live()
    with closing(SqliteStore(path, Bounds())) as store:
        follower = Follower(store, live)
        store.write([put("a")])
        store.backup(tmp_path / "bak")
        store.write([put("b")])
        follower.catch_up()
        with closing(SqliteStore(tmp_path / "bak", Bounds())) as copy:
            copy.write([put("c"), put("d"), put("e")])
        store.close()
        (tmp_path / "bak").rename(path)
        follower.catch_up()
        assert live.items == {"a", "c", "d", "e"}


def test_what_was_replaced_does_not_stay_in_the_files(store: SqliteStore, path: Path) -> None:
    store.write([put("a", image=b"secret image" * 900, label="secret label")])
    store.write([put("a", image=b"other" * 900, label="secret word")])
    assert not found(path, b"secret image")
    assert not found(path, b"secret label")
    store.write([Label(id="a", label=None)])
    assert not found(path, b"secret word")


def test_erasing_is_tried_until_nobody_reads(store: SqliteStore, path: Path) -> None:
    store.write([put("a", image=b"secret image" * 900)])
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM fewlabel_items").fetchall()
        store.write([put("a", image=b"other")])
        start = time.monotonic()
        store.wait(0)
        assert time.monotonic() - start < 0.09  # a poll waits for no reader
        assert found(path, b"secret image")
    store.wait(0)
    assert not found(path, b"secret image")


def test_what_a_killed_process_could_not_erase_is_erased_with_the_next_write(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:  # keeps the log, as a kill would
        first = SqliteStore(path, Bounds())
        first.write([put("a", image=b"secret image" * 900)])
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM fewlabel_items").fetchall()
        first.write([put("a", image=b"other")])
        first.close()
        reader.execute("COMMIT")
        assert found(path, b"secret image")
        store.write([put("b")])
        assert not found(path, b"secret image")


def test_a_follower_logs_why_it_cannot_read(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (text)")
    with closing(SqliteStore(path, Bounds())) as store:
        follower = Follower(store, new_live())
        follower.start()
        until(lambda: any("another program's database" in line for line in caplog.messages))
        path.unlink()  # it was no index: another one may begin
        written(store.write([put("a")])[0])
        path.unlink()
        until(lambda: any("file is gone" in line for line in caplog.messages))
        follower.stop()
