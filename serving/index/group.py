"""What several writes make of a store's items, one after the other. Pure: every store reads, folds, and writes back."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from serving.errors import Conflict, ServiceError, StoreFull, UnknownItem
from serving.index.items import ROW_BYTES, Delete, Embed, Gone, Item, Label, Put, Result, Write


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a store may hold."""

    items: int = 1_000_000
    bytes: int = 20_000_000_000
    """As `Item.size` counts."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a store holds."""

    sequence: int = 0
    """Of its last change; 0 before the first."""
    items: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Group:
    """Writes that are committed together.

    Args:
        items: what the store has of their ids, as it is and then as it will be.
        totals: likewise.
        now: seconds since 1970.
    """

    items: dict[str, Item]
    totals: Totals
    bounds: Bounds
    now: float
    results: list[Result] = field(default_factory=list)
    """One for each write."""
    pictures: dict[str, Put] = field(default_factory=dict)
    """Whose image and thumbnail are to be written."""
    changed: set[str] = field(default_factory=set)
    """Ids of `items` that are to be written."""
    gone: list[Gone] = field(default_factory=list)
    """Whose row, image and thumbnail are to be removed before anything is written; each leaves a tombstone."""
    overwrites: bool = False
    """Whether an image or a label that was there before goes."""

    def fold(self, writes: Sequence[Write]) -> None:
        """Does the writes in order. One that fails changes nothing and has its error as the result."""
        for write in writes:
            old = self.items.get(write.id)
            try:
                self.results.append(self._delete(write) if isinstance(write, Delete) else self._keep(self._made(write)))
            except ServiceError as error:
                self.results.append(error)
            else:
                self.overwrites |= old is not None and _overwrites(write, old)
                if isinstance(write, Put):
                    self.pictures[write.id] = write

    def _made(self, write: Put | Label | Embed) -> Item:
        """The item that a write asks for, which has no number yet."""
        old = self.items.get(write.id)
        match write:
            case Put():
                return self._put(write, old)
            case Label() if old is None and write.bundled:
                old = _over_the_bundle(write.id, self.now)
        if old is None:
            raise UnknownItem(f"there is no item {write.id!r}")
        if write.sequence not in (None, old.sequence):
            raise Conflict(f"item {write.id!r} has changed meanwhile")
        if isinstance(write, Label):
            return replace(old, label=write.label, label_source=write.label_source if write.label else None)
        size = old.size + write.vector.nbytes - (0 if old.vector is None else old.vector.nbytes)
        return replace(old, vector=write.vector, model=write.model, size=size)

    def _put(self, write: Put, old: Item | None) -> Item:
        if old is not None and not write.replace:
            raise Conflict(f"there is an item {write.id!r} already")
        if write.sequence not in (None, 0 if old is None else old.sequence):
            raise Conflict(f"item {write.id!r} has changed meanwhile")
        return Item(
            id=write.id,
            label=write.label,
            label_source=write.label_source if write.label else None,
            source="user",
            metadata=write.metadata,
            model=write.model,
            vector=write.vector,
            size=write.size,
            created=self.now if old is None else old.created,
            changed=self.now,
            sequence=0,
        )

    def _keep(self, item: Item) -> Item:
        """Takes an item in; raises StoreFull where that grows what is above its bound."""
        old = self.items.get(item.id)
        items = self.totals.items + (old is None)
        size = self.totals.bytes + item.size - (old.size if old else 0)
        if old is None and items > self.bounds.items:
            raise StoreFull(f"the index holds {self.totals.items} items, and no more are allowed")
        if size > max(self.bounds.bytes, self.totals.bytes):
            raise StoreFull(f"the index holds {self.totals.bytes} bytes, and {self.bounds.bytes} are allowed")
        self.totals = Totals(self.totals.sequence + 1, items, size)
        self.items[item.id] = item = replace(item, changed=self.now, sequence=self.totals.sequence)
        self.changed.add(item.id)
        return item

    def _delete(self, write: Delete) -> Gone:
        old = self.items.pop(write.id, None)
        if old is None:
            raise UnknownItem(f"there is no item {write.id!r}")
        self.totals = Totals(self.totals.sequence + 1, self.totals.items - 1, self.totals.bytes - old.size)
        self.changed.discard(write.id)
        self.pictures.pop(write.id, None)
        self.gone.append(Gone(write.id, self.totals.sequence))
        return self.gone[-1]


def _overwrites(write: Write, old: Item) -> bool:
    """Whether a write takes away what somebody gave."""
    if isinstance(write, Label):
        return old.label not in (None, write.label)
    return isinstance(write, Put | Delete)


def _over_the_bundle(own_id: str, now: float) -> Item:
    """An item that holds nothing but the label of one of the bundle's own images."""
    return Item(
        id=own_id, label=None, label_source=None, source="bundle", metadata="{}", model=None, vector=None,
        size=ROW_BYTES + len("{}"), created=now, changed=now, sequence=0,
    )  # fmt: skip
