"""What both stores promise."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving.errors import Conflict, MalformedRequest, StoreFull, UnknownItem
from serving.index import sql
from serving.index.group import Totals
from serving.index.items import ROW_BYTES, Delete, Embed, Gone, Item, Label, Write
from serving.index.store import MAX_GROUP, Changes, Store, open_store
from tests.serving.index.conftest import Open
from tests.serving.index.given import DIM, MODEL, put, vector, written

BARE = ROW_BYTES + len("{}") + 4 * DIM + len(b"thumbnail")
"""Bytes of an item but for its image."""


def test_nothing_is_there_before_the_first_write(store: Store, address: str) -> None:
    assert store.get(["a"]) == {}
    assert store.page(10) == store.outdated("m", 10) == []
    assert store.image("a") is store.thumbnail("a") is None
    assert store.images(["a"]) == {}
    assert store.changes_since(0, 10) == Changes([], 0)
    assert store.totals() == Totals(0, 0, 0)
    if not address.startswith("postgresql"):
        assert not Path(address).parent.exists()


def test_what_is_put_is_there(store: Store, opened: Open) -> None:
    before = time.time()
    (result,) = store.write([put("ä/猫.png", label="cat", metadata='{"x": "\\u0000"}')])
    item = written(result)
    assert (item.id, item.label, item.label_source, item.source) == ("ä/猫.png", "cat", "given", "user")
    assert (item.metadata, item.model, item.sequence) == ('{"x": "\\u0000"}', MODEL, 1)
    assert before <= item.created == item.changed <= time.time()
    for one in (store, opened()):
        assert one.get(["ä/猫.png", "other"]) == {item.id: item}
        assert one.page(10) == one.changes_since(0, 10).each == [item]
        kept = one.get([item.id])[item.id].vector
        assert kept is not None
        assert kept.dtype == np.float32
        np.testing.assert_array_equal(kept, vector())
        assert one.image(item.id) == "image of ä/猫.png".encode()
        assert one.thumbnail(item.id) == b"thumbnail"
        assert one.totals() == Totals(1, 1, item.size)


def test_an_empty_image_and_an_id_of_1020_bytes(store: Store) -> None:
    own_id = 255 * "🐈"
    store.write([put(own_id, image=b"")])
    assert store.image(own_id) == b""


def test_put_takes_the_place_of_what_was_there(store: Store) -> None:
    first = written(store.write([put("a", label="x")])[0])
    second = written(store.write([put("a", seed=1, image=b"other")])[0])
    assert (second.label, second.label_source, second.sequence) == (None, None, 2)
    assert second.created == first.created <= second.changed
    assert store.image("a") == b"other"
    assert store.totals() == Totals(2, 1, BARE + 5)
    assert store.changes_since(0, 10).each == [second]


def test_put_takes_no_place_where_it_must_not(store: Store) -> None:
    first, refused, third = store.write([put("a"), put("a", image=b"other", replace=False), put("b", replace=False)])
    assert isinstance(refused, Conflict)
    assert store.image("a") == b"image of a"
    assert store.page(10) == [first, third]


def test_labels_come_and_go(store: Store) -> None:
    first = written(store.write([put("a", label="x")])[0])
    told = written(store.write([Label(id="a", label="y")])[0])
    assert replace(told, sequence=1, changed=first.changed, label="x", label_source="given") == first
    assert (told.label, told.label_source, told.sequence) == ("y", "person", 2)
    bare = written(store.write([Label(id="a", label=None)])[0])
    assert (bare.label, bare.label_source) == (None, None)
    assert store.image("a") == b"image of a"
    assert isinstance(store.write([Label(id="b", label="y")])[0], UnknownItem)


def test_a_label_lies_over_the_bundles_own_image(store: Store) -> None:
    item = written(store.write([Label(id="test/1", label="7", bundled=True)])[0])
    assert (item.source, item.vector, item.model, item.size) == ("bundle", None, None, ROW_BYTES + 2)
    assert store.get(["test/1"]) == {"test/1": item}
    assert store.image("test/1") is None
    assert store.outdated("m", 10) == []
    again = written(store.write([Label(id="test/1", label="8", bundled=True)])[0])
    assert (again.label, again.source, again.created) == ("8", "bundle", item.created)
    assert isinstance(store.write([Delete("test/1")])[0], Gone)
    assert store.get(["test/1"]) == {}


def test_what_is_deleted_is_gone(store: Store) -> None:
    store.write([put("a"), put("b")])
    assert store.write([Delete("a")]) == [Gone("a", 3)]
    assert isinstance(store.write([Delete("a")])[0], UnknownItem)
    assert store.get(["a"]) == {}
    assert store.image("a") is store.thumbnail("a") is None
    assert [one.id for one in store.page(10)] == ["b"]
    assert [(one.id, one.sequence) for one in store.changes_since(0, 10).each] == [("b", 2), ("a", 3)]
    assert store.totals() == Totals(3, 1, BARE + len(b"image of b"))


def test_one_group_does_one_thing_after_the_other(store: Store) -> None:
    writes: list[Write] = [
        put("a"),
        Label(id="a", label="x"),
        Delete("a"),
        Label(id="a", label="y", bundled=True),
        put("b"),
        Delete("b"),
    ]
    results = store.write([*writes, Delete("c"), put("d")])
    assert [type(one) for one in results] == [Item, Item, Gone, Item, Item, Gone, UnknownItem, Item]
    assert [(one.id, one.source) for one in store.page(10)] == [("a", "bundle"), ("d", "user")]
    assert store.image("a") is store.image("b") is None
    assert [one.sequence for one in store.changes_since(0, 10).each] == [3, 4, 6, 7]
    assert store.totals() == Totals(7, 2, ROW_BYTES + 2 + BARE + len(b"image of d"))


def test_a_group_in_which_all_fails_changes_nothing(store: Store) -> None:
    store.write([Delete("a"), Label(id="b", label="x")])
    assert store.totals() == Totals()


def test_groups_are_bounded(store: Store) -> None:
    with pytest.raises(ValueError, match="not 1 to"):
        store.write([Delete("a")] * (MAX_GROUP + 1))
    with pytest.raises(ValueError, match="not 1 to"):
        store.get([])


def test_items_are_bounded(opened: Open) -> None:
    store = opened(items=2)
    results = store.write([put("a"), put("b"), put("c"), Label(id="d", label="x", bundled=True), put("a", image=b"")])
    assert [isinstance(one, StoreFull) for one in results] == [False, False, True, True, False]
    store.write([Delete("a")])
    written(store.write([put("c")])[0])


def test_bytes_are_bounded(opened: Open) -> None:
    store = opened(bytes=2 * BARE + 100)
    results = store.write([put("a", image=b"x" * 60), put("b", image=b"x" * 40), put("c", image=b"")])
    assert [isinstance(one, StoreFull) for one in results] == [False, False, True]
    assert isinstance(store.write([put("a", image=b"x" * 61)])[0], StoreFull)
    written(store.write([put("a", image=b"x" * 59)])[0])
    smaller = opened(bytes=10)
    written(smaller.write([put("b", image=b"x" * 39)])[0])
    assert isinstance(smaller.write([put("b", image=b"x" * 40)])[0], StoreFull)
    assert smaller.totals() == Totals(4, 2, 2 * BARE + 98)


def test_pages_follow_the_bytes_of_the_ids(store: Store) -> None:
    ids = ["B", "a", "a/b", "a0", "Ä", "é", "猫", "🐈"]
    store.write([put(own_id, label="x" if own_id in "aé" else "y") for own_id in reversed(ids)])
    store.write([Label(id="test/1", label="x", bundled=True), Label(id="B", label=None)])
    assert [one.id for one in store.page(20)] == sorted([*ids, "test/1"], key=str.encode)
    pages = [store.page(4), store.page(4, "a0"), store.page(4, "🐈")]
    assert [one.id for page in pages for one in page][:4] == ["B", "a", "a/b", "a0"]
    assert [one.id for one in store.page(20, label="x")] == ["a", "test/1", "é"]
    assert [one.id for one in store.page(20, "a", label="x", source="user")] == ["é"]
    assert [one.id for one in store.page(20, label="")] == ["B"]
    assert [one.id for one in store.page(20, source="bundle")] == ["test/1"]


def test_changes_come_in_order_and_each_item_once(store: Store) -> None:
    store.write([put(name) for name in "abcd"])
    store.write([Label(id="a", label="x"), Delete("c")])
    first = store.changes_since(0, 2)
    assert [(one.id, one.sequence) for one in first.each] == [("b", 2), ("d", 4)]
    assert first.latest == 6
    assert [(type(one), one.sequence) for one in store.changes_since(4, 2).each] == [(Item, 5), (Gone, 6)]
    assert store.changes_since(6, 2) == Changes([], 6, first.store)


def test_tombstones_are_pruned(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "KEPT_CHANGES", 3)
    store.write([put("a"), put("b"), Delete("a")])
    store.write([put("c"), put("c")])
    assert [one.id for one in store.changes_since(0, 10).each] == ["b", "a", "c"]
    store.write([put("c")])
    assert [one.id for one in store.changes_since(0, 10).each] == ["b", "c"]


def test_another_models_vectors_are_made_again(store: Store) -> None:
    store.write([put("a"), put("b", model="new@1"), put("c"), Label(id="d", label="x", bundled=True)])
    old = store.outdated("new@1", 10)
    assert [one.id for one in old] == ["a", "c"]
    assert [one.id for one in store.outdated("new@1", 10, "a")] == ["c"]
    store.write([Label(id="c", label="y")])
    longer = np.ones(DIM + 1, np.float32)
    done, changed, gone = store.write(
        [
            Embed(id=one.id, vector=longer, model="new@1", sequence=one.sequence)
            for one in [*old, replace(old[0], id="x")]
        ]
    )
    assert (written(done).model, written(done).size) == ("new@1", old[0].size + 4)
    assert isinstance(changed, Conflict)
    assert isinstance(gone, UnknownItem)
    np.testing.assert_array_equal(written(store.get(["a"])["a"]).vector, longer)
    assert [one.id for one in store.outdated("new@1", 10)] == ["c"]


def test_a_closed_store_opens_again(store: Store) -> None:
    store.write([put("a")])
    store.close()
    assert store.totals().items == 1
    store.write([put("b")])
    store.close()
    store.close()


def test_no_wrong_item_reaches_a_store() -> None:
    with pytest.raises(MalformedRequest):
        put("a", metadata="[]")


def test_an_address_names_the_store() -> None:
    assert type(open_store("index/digits.sqlite")).__name__ == "SqliteStore"
    for address in ("postgresql://localhost/x", "postgres://localhost/x"):
        assert type(open_store(address)).__name__ == "PostgresStore"
