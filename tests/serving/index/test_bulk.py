"""Folders into the store, and all vectors made again, on a model whose answers are known."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.pictures.png import as_png
from serving.decoder import Decoder
from serving.errors import MalformedRequest, ServiceError, StoreFailure, StoreFull
from serving.index import bulk, line
from serving.index.folder import File, read_folder
from serving.index.follower import Follower
from serving.index.items import Delete, Embed, Item, Label, Write
from serving.index.line import Line, Tally, groups
from serving.index.live import LiveIndex
from serving.index.store import MAX_GROUP, Store
from serving.index.writer import MAX_GROUP_BYTES
from tests.conftest import Digits
from tests.serving.fakes import FakeModel, fake_index
from tests.serving.index.conftest import Open
from tests.serving.index.given import put, written

Work = Callable[[Line, Tally], Coroutine[Any, Any, None]]
COUNT = 40


@pytest.fixture
def pictures(tmp_path: Path, digits: Digits) -> Path:
    """40 pictures of two classes; every fifth needs a decoder process."""
    for number, pixels in enumerate(digits[0][:COUNT]):
        path = tmp_path / "pictures" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_png(pixels if number % 5 else np.pad(pixels, 3)))
    return tmp_path / "pictures"


def run(store: Store, work: Work, model: FakeModel | None = None) -> tuple[dict[str, int], dict[str, str]]:
    """What became of the files, and what was bad about which."""
    bad: dict[str, str] = {}
    tally = Tally(on_bad=lambda own_id, reason: bad.update({own_id: reason}))

    async def main() -> None:
        model_ = model or FakeModel()
        decoder = Decoder(model_.input, 1_000_000, 10, 2)
        decoder.start()
        try:
            await work(Line(store, model_, decoder, 2, 4), tally)
        finally:
            await decoder.stop()

    asyncio.run(main())
    return tally.counts, bad


def adding(root: Path, bundled: frozenset[str] = frozenset()) -> Work:
    files = read_folder(root).files
    return lambda line, tally: bulk.add(line, files, bundled, 100_000, tally)


def test_a_folder_is_added_once(store: Store, pictures: Path) -> None:
    assert run(store, adding(pictures)) == ({"added": COUNT}, {})
    items = {item.id: item for item in store.page(100)}
    assert len(items) == COUNT
    for own_id, item in items.items():
        assert (item.label, item.label_source, item.source, item.model) == (own_id[0], "given", "user", FakeModel.name)
        assert store.image(own_id) == (pictures / own_id).read_bytes()
    assert store.thumbnail("b/01.png") == store.image("b/01.png")  # what the model saw of a clean file
    sequence = store.totals().sequence
    assert run(store, adding(pictures)) == ({"there already": COUNT}, {})
    assert store.totals().sequence == sequence


def test_new_labels_come_and_what_a_person_said_stays(store: Store, pictures: Path) -> None:
    run(store, adding(pictures))
    store.write([Label(id="a/00.png", label="person"), Label(id="a/02.png", label=None)])
    rows = [f"{own_id},new" for own_id in ("a/00.png", "a/02.png", "a/04.png")]
    (pictures / "labels.csv").write_text("\n".join(["path,label", *rows, ""]))
    assert run(store, adding(pictures)) == ({"labelled": 2, "there already": COUNT - 2}, {})
    labels = {item.id: (item.label, item.label_source) for item in store.page(100)}
    assert labels["a/00.png"] == ("person", "person")
    assert labels["a/02.png"] == labels["a/04.png"] == ("new", "given")
    assert labels["b/01.png"] == ("b", "given")


def test_what_a_person_says_while_labels_are_given_stays(
    store: Store, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(store, adding(pictures))
    rows = [f"{own_id},new" for own_id in ("a/00.png", "a/02.png", "a/04.png")]
    (pictures / "labels.csv").write_text("\n".join(["path,label", *rows, ""]))
    left: list[Write] = [Label(id="a/00.png", label="person"), Delete("a/02.png")]
    images = store.images

    def meanwhile(ids: Sequence[str]) -> dict[str, bytes]:
        while left:
            store.write([left.pop()])
        return images(ids)

    monkeypatch.setattr(store, "images", meanwhile)  # read after the items, and before labels are written
    assert run(store, adding(pictures)) == ({"added": 1, "labelled": 1, "there already": COUNT - 2}, {})
    labels = {item.id: (item.label, item.label_source) for item in store.page(100)}
    assert labels["a/00.png"] == ("person", "person")
    assert labels["a/02.png"] == labels["a/04.png"] == ("new", "given")


def test_what_a_person_says_while_pictures_are_embedded_stays(store: Store, pictures: Path) -> None:
    content = (pictures / "a" / "00.png").read_bytes()

    class Slow(FakeModel):
        """While it embeds the first batch, somebody else puts one of the pictures, and labels it."""

        def run_batch(self, images: Any) -> Any:
            if not self.batches:
                other = put("a/00.png", image=content, model=self.name, vector=np.eye(4, dtype=np.float32)[0])
                store.write([other, Label(id="a/00.png", label="person")])
            return super().run_batch(images)

    assert run(store, adding(pictures), Slow()) == ({"added": COUNT - 1, "there already": 1}, {})
    item = store.get(["a/00.png"])["a/00.png"]
    assert (item.label, item.label_source) == ("person", "person")


@pytest.mark.parametrize("error", [StoreFull("full"), MalformedRequest("odd")])
def test_a_label_that_is_not_written_is_told(
    store: Store, pictures: Path, monkeypatch: pytest.MonkeyPatch, error: ServiceError
) -> None:
    run(store, adding(pictures))
    (pictures / "labels.csv").write_text("path,label\na/00.png,new\n")
    monkeypatch.setattr(store, "write", lambda writes: [error for _ in writes])
    if isinstance(error, StoreFull):
        with pytest.raises(StoreFull, match="full"):
            run(store, adding(pictures))
    else:
        assert run(store, adding(pictures)) == ({"bad": 1, "there already": COUNT - 1}, {"a/00.png": "odd"})


def test_another_picture_takes_the_place_of_the_old_one(store: Store, pictures: Path) -> None:
    run(store, adding(pictures))
    (pictures / "a" / "00.png").write_bytes((pictures / "a" / "02.png").read_bytes())
    assert run(store, adding(pictures)) == ({"replaced": 1, "there already": COUNT - 1}, {})
    assert store.image("a/00.png") == store.image("a/02.png")


def test_bad_files_are_named_and_the_others_go_on(store: Store, pictures: Path) -> None:
    (pictures / "bad").mkdir()
    (pictures / "bad" / "text.png").write_text("no picture")
    (pictures / "bad" / "cut.png").write_bytes((pictures / "a" / "00.png").read_bytes()[:-30])
    (pictures / "bad" / "large.png").write_bytes(100_001 * b"x")
    (pictures / "bad" / "line\nend.png").write_bytes((pictures / "a" / "00.png").read_bytes())
    deep = pictures / "bad" / ("x" * 200) / ("y" * 200 + ".png")
    deep.parent.mkdir()
    deep.write_bytes((pictures / "a" / "00.png").read_bytes())
    work = adding(pictures)
    (pictures / "a" / "04.png").unlink()  # after the folder was read
    counts, bad = run(store, work)
    assert counts == {"added": COUNT - 1, "bad": 6}
    assert {own_id[:9]: reason for own_id, reason in bad.items()} == {
        "a/04.png": "cannot be read: No such file or directory",
        "bad/cut.p": bad["bad/cut.png"],
        "bad/large": "cannot be read: more than 100,000 bytes (--max-upload-bytes)",
        "bad/line\n": "an id is valid UTF-8 without control characters",
        "bad/text.": bad["bad/text.png"],
        "bad/xxxxx": "an id has 1 to 255 characters, not 409",
    }
    assert "damaged" in bad["bad/cut.png"]
    assert "none of them" in bad["bad/text.png"]


def test_the_bundles_own_images_are_left_alone(store: Store, pictures: Path) -> None:
    store.write([Label(id="a/02.png", label="person", bundled=True)])
    counts, bad = run(store, adding(pictures, frozenset({"a/00.png", "a/02.png"})))
    assert (counts, bad) == ({"added": COUNT - 2, "in the bundle": 2}, {})
    assert store.image("a/00.png") is store.image("a/02.png") is None


def test_a_full_index_is_one_error_and_keeps_what_fitted(opened: Open, pictures: Path) -> None:
    store = opened(items=10)
    with pytest.raises(StoreFull, match="no more are allowed"):
        run(store, adding(pictures))
    assert store.totals().items == 10


def test_a_store_that_fails_ends_the_work(store: Store, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MAX_GROUP", 8)
    monkeypatch.setattr(line, "MAX_GROUP", 8)
    write, left = store.write, [2]

    def fail(writes: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise StoreFailure("away")
        return write(writes)

    monkeypatch.setattr(store, "write", fail)
    with pytest.raises(StoreFailure, match="away"):
        run(store, adding(pictures))
    assert store.totals().items == 16
    monkeypatch.undo()
    assert run(store, adding(pictures)) == ({"added": COUNT - 16, "there already": 16}, {})


def test_vectors_of_another_model_are_made_again_while_searches_go_on(store: Store, pictures: Path) -> None:
    run(store, adding(pictures))
    store.write([Label(id="b/03.png", label="person"), Label(id="a", label="x", bundled=True)])
    newer = FakeModel()
    newer.name = "fake@111111111111"
    live = LiveIndex(fake_index(), newer.name, newer.dim)
    follower = Follower(store, live)
    follower.catch_up()
    assert (live.missing, len(live)) == (COUNT, 4)
    half = store.page(COUNT // 2, source="user")
    axis = np.eye(4, dtype=np.float32)[0]
    store.write([Embed(id=one.id, vector=axis, model=newer.name, sequence=one.sequence) for one in half])
    follower.catch_up()
    assert (live.missing, len(live)) == (COUNT // 2, 4 + COUNT // 2)
    assert run(store, bulk.rebuild, newer) == ({"embedded": COUNT // 2}, {})
    follower.catch_up()
    assert (live.missing, len(live)) == (0, 4 + COUNT)
    assert run(store, bulk.rebuild, newer) == ({}, {})
    (item,) = (one for one in store.page(100) if one.id == "b/03.png")
    assert (item.label, item.label_source) == ("person", "person")


def test_what_changes_meanwhile_is_made_again_in_another_pass(store: Store, pictures: Path) -> None:
    run(store, adding(pictures))
    store.write([put("broken.png", image=b"no picture", model=FakeModel.name)])

    class Newer(FakeModel):
        """While it embeds the first batch, one item is labelled and one deleted."""

        name = "fake@111111111111"

        def run_batch(self, images: Any) -> Any:
            if not self.batches:
                written(store.write([Label(id="a/00.png", label="changed")])[0])
                store.write([Delete("a/02.png")])
            return super().run_batch(images)

    counts, bad = run(store, bulk.rebuild, Newer())
    assert (counts, list(bad)) == ({"embedded": COUNT - 1, "bad": 1}, ["broken.png"])
    models = {item.id: item.model for item in store.page(100)}
    assert {own_id for own_id, model in models.items() if model != Newer.name} == {"broken.png"}


def test_groups_are_bounded(tmp_path: Path) -> None:
    file = File("a", tmp_path, 1, None)
    assert list(map(len, groups([file] * (2 * MAX_GROUP + 1)))) == [MAX_GROUP, MAX_GROUP, 1]
    large = file._replace(size=MAX_GROUP_BYTES + 1)
    assert list(map(len, groups([file, large, file, large]))) == [1, 1, 1, 1]
    assert list(groups(list[Item]())) == []
