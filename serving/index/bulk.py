"""Many pictures into the store, and all vectors made again. Knows no HTTP."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from models.pictures.png import Picture, as_png
from serving.errors import Conflict, ServiceError, StoreFull, UnknownItem
from serving.index.folder import File
from serving.index.items import Embed, Item, Label, Put, Result, Vector, check_id
from serving.index.line import Line, Picked, Tally, groups, in_turn
from serving.index.store import MAX_GROUP, Store


async def add(line: Line, files: Iterable[File], bundled: frozenset[str], max_bytes: int, tally: Tally) -> None:
    """Puts every file into the store that is not there with the same bytes; raises StoreFailure or StoreFull.

    Where an item changes between its reading and its writing, its file is looked at again: nothing that others write
    meanwhile is lost, as a person's label.

    Args:
        bundled: ids of the bundle's own images, which are left alone.
        max_bytes: of one file.
    """

    def write(one: Picked, pixels: Picture, vector: Vector) -> Put:
        return Put(
            id=one.id, image=one.content, thumbnail=as_png(pixels), vector=vector, model=line.model.name,
            label=one.label, sequence=one.old.sequence if one.old else 0,
        )  # fmt: skip

    async def put_once(some: Sequence[File]) -> list[File]:
        """The files whose items have changed meanwhile."""
        results = await line.run(lambda: _to_add(line.store, some, bundled, max_bytes, tally), write, tally)
        changed = {one.id for one, result in results if not _is_done(one.id, result, tally)}
        tally.done("added", sum(isinstance(result, Item) and one.old is None for one, result in results))
        tally.done("replaced", sum(isinstance(result, Item) and one.old is not None for one, result in results))
        return [file for file in some if file.id in changed]

    async def put(some: Sequence[File]) -> None:
        while some:
            some = await put_once(some)

    await in_turn(put(some) for some in groups(files))


def _is_done(own_id: str, result: Result, tally: Tally) -> bool:
    """Whether nothing more is to be done: False where the item has changed meanwhile; raises StoreFull."""
    if isinstance(result, StoreFull):
        raise result
    if isinstance(result, Conflict | UnknownItem):
        return False
    if isinstance(result, ServiceError):
        tally.bad(own_id, str(result))
    return True


def _to_add(store: Store, files: Sequence[File], bundled: frozenset[str], max_bytes: int, tally: Tally) -> list[Picked]:
    """The files whose bytes are not in the store; gives labels that are new to the others."""
    picked, waiting = list[Picked](), [file for file in files if _has_valid_id(file, tally)]
    while waiting:
        to_put, labels = _compared(store, waiting, bundled, max_bytes, tally)
        picked += to_put
        results = store.write(labels) if labels else []
        changed = {one.id for one, it in zip(labels, results, strict=True) if not _is_done(one.id, it, tally)}
        tally.done("labelled", sum(isinstance(result, Item) for result in results))
        waiting = [file for file in waiting if file.id in changed]
    return picked


def _compared(
    store: Store, files: Sequence[File], bundled: frozenset[str], max_bytes: int, tally: Tally
) -> tuple[list[Picked], list[Label]]:
    """The files whose bytes are not in the store, and labels that are new to the others."""
    there = store.get([file.id for file in files])
    kept = _digests(store, there.values())
    picked, labels = list[Picked](), list[Label]()
    for file in files:
        old = there.get(file.id)
        if file.id in bundled and (old is None or old.source == "bundle"):
            tally.done("in the bundle")
            continue
        try:
            content = _content(file.path, max_bytes)
        except (OSError, ValueError) as error:
            tally.bad(file.id, f"cannot be read: {getattr(error, 'strerror', None) or error}")
            continue
        if old is None or kept.get(file.id) != sha256(content).digest():
            picked.append(Picked(file.id, content, file.label, old))
        elif file.label and file.label != old.label and old.label_source != "person":
            labels.append(Label(id=file.id, label=file.label, label_source="given", sequence=old.sequence))
        else:
            tally.done("there already")
    return picked, labels


def _digests(store: Store, items: Iterable[Item]) -> dict[str, bytes]:
    """Digests of the images of items, of which no more than a group's bytes are held at once."""
    found = (store.images([item.id for item in some]) for some in groups(items))
    return {own_id: sha256(image).digest() for each in found for own_id, image in each.items()}


def _has_valid_id(file: File, tally: Tally) -> bool:
    try:
        check_id(file.id)
    except ServiceError as error:
        tally.bad(file.id, str(error))
        return False
    return True


def _content(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"more than {max_bytes:,} bytes (--max-upload-bytes)")
    return content


async def rebuild(line: Line, tally: Tally) -> None:
    """Gives each item that another model embedded the vector of this one; raises StoreFailure.

    What changes meanwhile comes again in another pass.
    """

    async def embed(some: Sequence[Item]) -> int:
        """How many have changed meanwhile."""
        sequences = {item.id: item.sequence for item in some}

        def write(one: Picked, _pixels: Picture, vector: Vector) -> Embed:
            return Embed(id=one.id, vector=vector, model=line.model.name, sequence=sequences[one.id])

        results = [result for _, result in await line.run(lambda: _kept(line.store, some), write, tally)]
        for result in results:
            if isinstance(result, ServiceError) and not isinstance(result, Conflict | UnknownItem):
                raise result
        tally.done("embedded", sum(isinstance(result, Item) for result in results))
        return sum(isinstance(result, Conflict) for result in results)

    changed = 1
    while changed:
        items = (item for item in _outdated(line.store, line.model.name) if item.id not in tally.bad_ids)
        changed = sum(await in_turn(embed(some) for some in groups(items)))


def _outdated(store: Store, model: str) -> Iterator[Item]:
    after = ""
    while page := store.outdated(model, MAX_GROUP, after):
        yield from page
        after = page[-1].id


def _kept(store: Store, items: Sequence[Item]) -> list[Picked]:
    """The items' images, of those that are still there."""
    return [Picked(own_id, image) for own_id, image in store.images([item.id for item in items]).items()]
