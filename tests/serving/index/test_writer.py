import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from serving.errors import Conflict, Draining, Overloaded, StoreFailure
from serving.index import writer as module
from serving.index.items import Delete, Label, Write
from serving.index.store import MAX_GROUP
from serving.index.writer import Writer
from tests.serving.index.fakes import HeldStore
from tests.serving.index.given import put, written


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HeldStore]:
    with closing(HeldStore(tmp_path / "index.sqlite")) as store:
        yield store


@pytest.fixture
def writer(store: HeldStore) -> Iterator[Writer]:
    writer = Writer(store)
    writer.start()
    yield writer
    store.free.set()
    writer.stop()


def test_each_caller_gets_the_results_of_its_writes(writer: Writer) -> None:
    def ask(number: int) -> None:
        first, second, third = writer.add(
            [put(f"{number}"), Label(id=f"{number}", label="x"), put(f"{number}", replace=False)]
        ).result()
        assert (written(first).id, written(second).id) == (f"{number}", f"{number}")
        assert written(second).label == "x"
        assert isinstance(third, Conflict)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(200)))


def test_what_waits_is_committed_together(writer: Writer, store: HeldStore) -> None:
    store.free.clear()
    first = writer.add([put("first")])
    assert store.entered.wait(5)
    others = [writer.add([put(f"{number}")]) for number in range(64)]
    assert not first.done()
    store.free.set()
    assert [written(one.result()[0]).id for one in others] == [f"{number}" for number in range(64)]
    assert store.groups == [1, 64]
    assert store.totals().sequence == 65


def test_a_group_is_bounded(writer: Writer, store: HeldStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_GROUP_BYTES", 5000)
    store.free.clear()
    writer.add([put("first")])
    assert store.entered.wait(5)
    deletes: list[Write] = [Delete("x")] * 300
    waiting: list[list[Write]] = [[put("a", image=b"x")], [put("b", image=9000 * b"x")], deletes, deletes, [put("c")]]
    last = [writer.add(one) for one in waiting][-1]
    store.free.set()
    last.result()
    assert store.groups == [1, 1, 1, 300, 301]
    with pytest.raises(ValueError, match="not 1 to"):
        writer.add([Delete("x")] * (MAX_GROUP + 1))
    with pytest.raises(ValueError, match="not 1 to"):
        writer.add([])


def test_who_has_left_is_not_written(writer: Writer, store: HeldStore) -> None:
    store.free.clear()
    first = writer.add([put("first")])
    assert store.entered.wait(5)
    left, stays = writer.add([put("left")]), writer.add([put("stays")])
    assert left.cancel()
    assert not first.cancel()
    store.free.set()
    stays.result()
    assert [one.id for one in store.page(9)] == ["first", "stays"]
    with pytest.raises(CancelledError):
        left.result()


def test_too_much_is_refused(store: HeldStore) -> None:
    writer = Writer(store, max_bytes=2000)
    writer.start()
    store.free.clear()
    writer.add([put("first")])
    assert store.entered.wait(5)
    large = writer.add([put("large", image=b"x" * 9000)])
    with pytest.raises(Overloaded, match="waiting"):
        writer.add([put("refused")])
    store.free.set()
    large.result()
    written(writer.add([put("taken")]).result()[0])
    writer.stop()


def test_stopping_answers_what_was_taken(writer: Writer, store: HeldStore) -> None:
    store.free.clear()
    taken = [writer.add([put(f"{number}")]) for number in range(9)]
    stopping = threading.Thread(target=writer.stop)
    stopping.start()
    while not writer._stopping:
        time.sleep(0.001)
    with pytest.raises(Draining):
        writer.add([Delete("x")])
    store.free.set()
    stopping.join(5)
    assert all(one.done() for one in taken)
    assert store.totals().items == 9


@pytest.mark.parametrize("error", [StoreFailure("away"), KeyError("a bug"), SystemExit()])
def test_a_failure_reaches_all_callers_and_the_next_ones_are_served(
    writer: Writer, store: HeldStore, error: BaseException
) -> None:
    store.free.clear()
    store.error = error
    failing = [writer.add([put(f"{number}")]) for number in range(5)]
    store.free.set()
    for one in failing:
        with pytest.raises(type(error)):
            one.result(5)
    store.error = None
    written(writer.add([put("a")]).result(5)[0])


def test_what_is_committed_is_applied_before_it_is_answered(store: HeldStore) -> None:
    seen: list[int] = []
    writer = Writer(store, lambda: seen.append(store.totals().items))
    writer.start()
    for number in range(3):
        writer.add([put(f"{number}")]).result()
        assert seen[-1] == number + 1
    writer.stop()


@pytest.mark.parametrize("error", [StoreFailure("away"), KeyError("a bug")])
def test_what_is_committed_is_a_success_even_if_it_is_not_applied(store: HeldStore, error: Exception) -> None:
    def fail() -> None:
        raise error

    writer = Writer(store, fail)
    writer.start()
    written(writer.add([put("a")]).result(5)[0])
    writer.stop()


def test_a_writer_that_never_started_stops(store: HeldStore) -> None:
    Writer(store).stop()
