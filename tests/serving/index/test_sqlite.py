"""What can happen to a file."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from serving.errors import StoreFailure, StoreFull
from serving.index import sqlite
from serving.index.group import Bounds
from serving.index.items import Delete
from serving.index.sqlite import SqliteStore
from tests.conftest import ROOT
from tests.serving.index.given import put, vector, written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path, Bounds())) as store:
        yield store


def raises_everywhere(store: SqliteStore, match: str) -> None:
    for act in (store.totals, lambda: store.changes_since(0, 9), lambda: store.write([put("new")])):
        with pytest.raises(StoreFailure, match=match):
            act()


def test_commits_reach_the_disk(store: SqliteStore) -> None:
    store.write([put("a")])
    with store._writer.use() as file:
        assert file.rows("PRAGMA synchronous") == [(2,)]
        assert file.rows("PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize("content", [b"no database", b"\x89PNG\r\n" * 4000])
def test_a_file_that_is_no_database_is_left_alone(store: SqliteStore, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    raises_everywhere(store, "damaged, or is no index")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE notes (text)", "PRAGMA user_version = 7", "PRAGMA application_id = 7"]
)
def test_another_programs_database_is_left_alone(store: SqliteStore, path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(statement)
    content = path.read_bytes()
    raises_everywhere(store, "another program's")
    assert path.read_bytes() == content


def test_another_schema_is_told(store: SqliteStore, path: Path) -> None:
    store.write([put("a")])
    store.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 3")
    raises_everywhere(store, "schema 3, and this version of fewlabel knows 2")


def test_an_empty_file_is_an_index_of_nothing(store: SqliteStore, path: Path) -> None:
    path.touch()
    assert store.totals().items == 0
    store.write([put("a")])
    assert store.totals().items == 1


def test_a_damaged_file_is_told(store: SqliteStore, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store.write([put(f"{number}", image=b"x" * 5000) for number in range(200)])
    store.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xaa" * (len(content) - 4096))
    raises_everywhere(store, "the index's file is damaged")
    assert any("malformed" in line for line in caplog.messages)


def test_a_file_cut_short_is_told(store: SqliteStore, path: Path) -> None:
    store.write([put(f"{number}", image=b"x" * 5000) for number in range(200)])
    store.close()
    path.write_bytes(path.read_bytes()[: 20 * 4096])
    with pytest.raises(StoreFailure, match="damaged"):
        store.changes_since(0, 500)


def test_a_locked_file_is_told_and_used_again(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_S", 0.1)
    store.write([put("a")])
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailure, match="locked by another program"):
            store.write([put("b")])
        assert [one.id for one in store.page(9)] == ["a"]  # who reads does not wait
    written(store.write([put("b")])[0])


def test_a_new_file_that_is_locked_is_told(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreFailure, match="locked by another program"):
            store.write([put("b")])
    written(store.write([put("b")])[0])


def test_a_full_disk_is_told_and_nothing_is_lost(store: SqliteStore) -> None:
    store.write([put("a")])
    with store._writer.use() as file:
        file.rows("PRAGMA max_page_count = 40")  # what SQLite answers beyond is what it answers to a full disk
    with pytest.raises(StoreFull, match="disk is full"):
        store.write([put("b"), put("c", image=b"x" * 1_000_000)])
    assert [one.id for one in store.page(9)] == ["a"]
    written(store.write([put("b")])[0])


def test_a_file_that_cannot_grow_is_told_and_nothing_is_lost(store: SqliteStore, path: Path) -> None:
    """As on a full disk, the system refuses to write the log."""
    store.write([put("a")])
    code = (
        "import resource, sys; from tests.serving.index.test_sqlite import fill_up; from pathlib import Path;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); fill_up(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    accepted = int(done.stdout)
    assert "the disk failed, or is full" in done.stderr
    assert accepted > 3
    assert store.totals().items == 1 + accepted
    assert all(store.image(f"{number}") == b"x" * 20_000 for number in range(accepted))


def fill_up(path: Path) -> None:
    """Writes items until the first fails, prints how many did not, and checks that reading goes on."""
    store = SqliteStore(path, Bounds())
    accepted = 0
    try:
        for accepted in range(100):
            store.write([put(f"{accepted}", image=b"x" * 20_000)])
    except StoreFailure as error:
        print(error, file=sys.stderr)
    assert store.totals().items == 1 + accepted
    print(accepted)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with closing(SqliteStore(tmp_path / "file" / "index.sqlite", Bounds())) as store:
        assert store.totals().items == 0
        with pytest.raises(StoreFailure, match="cannot be opened"):
            store.write([put("a")])


def test_a_file_that_was_replaced_is_told_once(store: SqliteStore, path: Path) -> None:
    store.write([put("a")])
    store.backup(path.with_name("other"))
    store.write([put("b")])
    for name in ("index.sqlite-wal", "index.sqlite-shm"):
        path.with_name(name).unlink()
    path.with_name("other").rename(path)
    with pytest.raises(StoreFailure, match="replaced"):
        store.write([put("c")])
    assert [one.id for one in store.page(9)] == ["a"]
    written(store.write([put("c")])[0])


def test_nothing_of_what_is_deleted_stays_in_the_files(store: SqliteStore, path: Path) -> None:
    secret, kept = put("a", image=b"secret" * 2000, metadata='{"secret": 1}', label="secret"), put("b", seed=1)
    store.write([secret, kept])

    def content() -> bytes:
        return b"".join(one.read_bytes() for one in path.parent.iterdir())

    assert b"secret" in content()
    store.write([Delete("a")])
    assert b"secret" not in content()
    assert vector().tobytes() not in content()
    assert vector(1).tobytes() in content()


def test_a_reader_does_not_keep_a_deletion_from_being_done(store: SqliteStore, path: Path) -> None:
    store.write([put("a", image=b"secret" * 2000)])
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM fewlabel_items").fetchall()
        store.write([Delete("a")])
        assert store.image("a") is None
    store.write([put("b")])  # the log is emptied as soon as nobody needs it
    assert all(b"secret" not in one.read_bytes() for one in path.parent.iterdir())


def test_a_backup_is_a_store(store: SqliteStore, path: Path) -> None:
    store.write([put(f"{number}") for number in range(50)])
    target = path.with_name("backup.sqlite")
    store.backup(target)
    store.write([put("late")])
    with closing(SqliteStore(target, Bounds())) as copy:
        assert copy.page(100) == [one for one in store.page(100) if one.id != "late"]
        assert copy.image("7") == b"image of 7"
        written(copy.write([put("more")])[0])
    with pytest.raises(StoreFailure, match="exists already"):
        store.backup(target)


def test_a_backup_of_nothing_is_refused(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreFailure, match="cannot be opened"):
        store.backup(path.with_name("backup.sqlite"))
