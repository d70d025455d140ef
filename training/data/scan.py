"""What every file of a collection is, and its pixels as models see them: each file is decoded once, then remembered.

Nothing is written but in the cache's folder, which can be deleted at any time.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.manifest import InputSpec
from models.names import shown
from training.data.catalogue import Catalogue, code
from training.data.collection import Collection
from training.data.errors import DataError
from training.data.info import FileInfo as FileInfo
from training.data.readers import Order, Readers, Seen, processes, row_shape
from training.data.rows import Rows

CACHE = Path("runs/cache")
CHUNK_FILES, CHUNK_BYTES = 64, 8_000_000
"""What a process reads before it answers, at most: files, and bytes of files or of pixels."""
KEPT_FILES, KEPT_BYTES, KEPT_S = 4096, 64_000_000, 10.0
"""What is held in memory before it is written, at most: files, bytes of pixels, and seconds of work."""

Pixels = NDArray[np.uint8]


def scan(collection: Collection, cache: Path = CACHE, specs: Sequence[InputSpec] = ()) -> list[FileInfo]:
    """What each record's file is; a file that cannot be used says why, and never ends the run.

    What models with the inputs `specs` see is put in the cache on the way, which spares `prepared` decoding.
    """
    folder = cache / code()
    stores = [_store(folder, spec) for spec in specs]

    def complete(info: FileInfo | None) -> bool:
        return info is not None and not (info.good and not all(store.known([info.digest])[0] for store in stores))

    with Catalogue(folder, collection) as catalogue:
        infos = dict(catalogue.infos())
        missing = [record.name for record in collection.records if not complete(infos.get(record.name))]
        if missing:
            contents = catalogue.contents()
            known = b"".join(digest for digest, info in contents.items() if complete(info))
            keeper = _Keeper(catalogue, stores)
            with keeper:
                for name, seen in _seen(collection, missing, specs, known, "looking at files"):
                    infos[name] = contents[seen.info.digest] if seen.known else seen.info
                    keeper.take(name, seen._replace(info=infos[name]))
    return [infos[record.name] for record in collection.records]


def prepared(
    collection: Collection, infos: Sequence[FileInfo], specs: Sequence[InputSpec], cache: Path = CACHE
) -> list[Pixels]:
    """What models with such inputs see of the good files, in the order of the records; an array for each spec.

    (n good, height, width) uint8, or (n good, height, width, 3). Decodes only what the cache does not hold.
    Raises DataError for a file that has changed since it was scanned.
    """
    stores = [_store(cache / code(), spec) for spec in specs]
    good = _good(collection, infos)
    missing = {digest: name for name, digest in good if not all(store.known([digest])[0] for store in stores)}
    names = {name: digest for digest, name in missing.items()}
    with _Keeper(None, stores) as keeper:
        for name, seen in _seen(collection, list(names), specs, b"", "preparing pictures"):
            _check(name, seen, names[name])
            keeper.take(name, seen)
    digests = [digest for _, digest in good]
    return [store.read(digests) for store in stores]


def stream(
    collection: Collection,
    infos: Sequence[FileInfo],
    spec: InputSpec,
    batch_size: int,
    chosen: Sequence[int] | None = None,
) -> Iterator[tuple[NDArray[np.int64], Pixels]]:
    """What a model with such an input sees of the good files, batch by batch in order; nothing is stored.

    Yields places, counted as in the arrays of `prepared` (`chosen` ones of them, or all), and their pixels
    (batch, height, width) or (batch, height, width, 3). Few batches are decoded ahead of their use.
    """
    good = _good(collection, infos)
    places = range(len(good)) if chosen is None else chosen
    waiting: list[Pixels] = []
    first = 0
    names = [good[place][0] for place in places]
    for done, (name, seen) in enumerate(_seen(collection, names, [spec], b"", "reading pictures"), 1):
        _check(name, seen, good[places[done - 1]][1])
        waiting += seen.rows
        if len(waiting) == batch_size or done == len(names):
            yield np.array(places[first:done], np.int64), np.stack(waiting)
            waiting, first = [], done


def _good(collection: Collection, infos: Sequence[FileInfo]) -> list[tuple[str, bytes]]:
    """Name and digest of the files that can be used."""
    pairs = zip(collection.records, infos, strict=True)
    return [(record.name, info.digest) for record, info in pairs if info.good]


def _store(folder: Path, spec: InputSpec) -> Rows:
    return Rows(folder, spec.kind, row_shape(spec), np.uint8)


def _check(name: str, seen: Seen, digest: bytes) -> None:
    if not seen.info.good or seen.info.digest != digest:
        reason = seen.info.error or "its content is another"
        raise DataError(f"{shown(name)}: has changed since it was looked at ({reason}): run again")


def _seen(
    collection: Collection, names: Sequence[str], specs: Sequence[InputSpec], known: bytes, title: str
) -> Iterator[tuple[str, Seen]]:
    """Reads files in several processes, with a bar on stderr; in order."""
    if not names:
        return
    chunks = list(_chunks(collection, names, specs))
    keys = ([collection.entries[name].key for name in chunk] for chunk in chunks)
    with (
        Readers(Order(collection.root, specs, known), min(len(chunks), processes())) as readers,
        tqdm(total=len(names), desc=title, unit=" files", unit_scale=True, mininterval=0.5) as bar,
    ):
        for chunk, found in zip(chunks, readers.read(keys), strict=True):
            yield from zip(chunk, found, strict=True)
            bar.update(len(chunk))


def _chunks(collection: Collection, names: Sequence[str], specs: Sequence[InputSpec]) -> Iterator[list[str]]:
    """Files that are read together: few large ones, many small ones."""
    row = sum(int(np.prod(row_shape(spec))) for spec in specs)
    most = max(1, min(CHUNK_FILES, CHUNK_BYTES // max(row, 1)))
    chunk, size = list[str](), 0
    for name in names:
        size += collection.entries[name].size
        chunk.append(name)
        if len(chunk) >= most or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class _Keeper:
    """Writes what was found to the cache, many files at a time; a context, which writes the last ones at any end."""

    def __init__(self, catalogue: Catalogue | None, stores: Sequence[Rows]) -> None:
        self._catalogue, self._stores = catalogue, stores
        self._files: list[tuple[str, Seen]] = []
        self._bytes, self._written = 0, time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.write()

    def take(self, name: str, seen: Seen) -> None:
        """Keeps one file; what may be otherwise the next time is left out."""
        if seen.lasting:
            self._files.append((name, seen))
            self._bytes += sum(row.nbytes for row in seen.rows)
        late = time.monotonic() - self._written >= KEPT_S
        if late or len(self._files) >= KEPT_FILES or self._bytes >= KEPT_BYTES:
            self.write()

    def write(self) -> None:
        """Pixels first: what the catalogue names is there."""
        decoded = [seen for _, seen in self._files if seen.rows]
        for place, store in enumerate(self._stores if decoded else ()):
            store.add([seen.info.digest for seen in decoded], np.stack([seen.rows[place] for seen in decoded]))
        if self._catalogue:
            self._catalogue.add((name, seen.info) for name, seen in self._files)
        self._files, self._bytes, self._written = [], 0, time.monotonic()
