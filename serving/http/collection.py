"""Routes to the index as a whole: what it holds, its labels, its vectors, and which images to label next."""

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray

from serving.errors import Conflict, StoreFailure
from serving.http import item_schemas as schemas
from serving.http.answers import Fields, npy_header, to_json
from serving.http.gate import as_response
from serving.http.pieces import Pieces, cut, whole
from serving.http.replies import CSV, JSON, NPY, NPZ, OCTETS, Reply
from serving.http.running import Running, SourceFilter, accepted, unless_left
from serving.index.export import table_label
from serving.index.live import Known, Snapshot
from serving.index.store import POSTGRES

MAX_NEXT = 200
"""Images that can be asked for: each takes milliseconds to choose."""
VECTORS, TEXTS = 64, 2048
"""Vectors, and ids or labels, that are written as JSON at once: it takes a millisecond or two."""
FLOAT_BYTES, CHARACTER_BYTES = 4, 4
"""Of a float32, and of a character in numpy's arrays of texts."""
LABEL_SOURCE, SOURCE = len("predicted"), len("bundle")
"""Characters of the longest."""
MAX_TEXTS = 128_000_000
"""Bytes of ids and labels in one file of arrays: one long id makes all of them long."""
T = TypeVar("T")
Rows = list[tuple[str, str | None]]
"""Ids and labels."""
router = APIRouter(prefix="/index", tags=["index"])


@router.get("", response_model=schemas.Totals)
async def totals(running: Running) -> Response:
    """What the index holds, and may hold."""
    service, settings = running.service, running.settings
    problem, found = None, None
    try:
        found = await service.index.totals()
    except StoreFailure as error:
        problem = str(error)
    fields: Fields = {
        "items": found and found.items,
        "bytes": found and found.bytes,
        "max_items": settings.index_max_items,
        "max_bytes": settings.index_max_bytes,
        "searched": len(service.index.live),
        "missing": service.index.live.missing,
        "store": "postgresql" if settings.index.startswith(POSTGRES) else "sqlite",
        "available": found is not None,
        "problem": problem,
        "writable": settings.local or settings.api_keys_file is not None,
        "model": service.model.name,
    }
    return as_response(Reply(to_json(fields)))


@router.get("/labels.csv", response_class=Response, responses=schemas.TABLE)
async def labels(running: Running, source: SourceFilter = None) -> Response:
    """All labels that a person gave, as training reads them: `path,label`, the ids being the paths."""
    pages = running.service.index.labelled(source)
    first = await anext(pages)  # what is wrong with the store becomes a problem document here
    headers = {"content-disposition": 'attachment; filename="labels.csv"', "x-content-type-options": "nosniff"}
    return StreamingResponse(_table(first, pages), 200, headers, CSV)


async def _table(first: Rows, others: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    yield b"path,label\n" + _lines(first)
    async for page in others:
        yield _lines(page)


def _lines(rows: Rows) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows((own_id, table_label(label)) for own_id, label in rows)
    return text.getvalue().encode()


@router.get("/next", response_model=schemas.Next, responses=schemas.READING)
async def to_label(
    request: Request, running: Running, n: Annotated[int, Query(ge=1, le=MAX_NEXT, description="How many")] = 20
) -> Response:
    """Which images to label next: those that nobody has labelled and whose labels would teach most."""
    chosen = await unless_left(request, running.service.index.choose(n))
    fields = {"items": list(map(_known, chosen)), "model": running.service.model.name}
    return whole(to_json(fields), running.bodies)


def _known(known: Known) -> Fields:
    return {"id": known.id, "label": known.label, "label_source": known.label_source, "source": known.source}


@router.get("/embeddings", response_model=schemas.Vectors, responses=schemas.VECTORS)
async def embeddings(request: Request, running: Running) -> Response:
    """The vectors of all images that are searched, at one moment, for a search of one's own.

    With `Accept: application/x-npy` the vectors alone, float32, n × dim; with `application/x-npz` also ids, labels,
    label_sources and sources, in the same order; both for `numpy.load`. That file is refused with 409 where a few long
    ids or labels would make it large.
    """
    accept, bodies = accepted(request), running.bodies
    index, model = running.service.index, running.service.model
    with bodies.lent(len(index.live) * model.dim * FLOAT_BYTES):
        found = await unless_left(request, index.export(index.live.snapshot))
    held = found.vectors.nbytes
    if NPZ in accept:
        widths = await unless_left(request, index.export(_widths, found))
        size = held + len(found.ids) * (sum(widths) + LABEL_SOURCE + SOURCE) * CHARACTER_BYTES
        with bodies.lent(2 * size):  # the arrays and the file
            content = await unless_left(request, index.export(_npz, found, widths))
        return Pieces(cut(content), len(content), bodies, NPZ, None, len(content))
    if NPY in accept or OCTETS in accept:
        head = npy_header((len(found.ids), model.dim))
        rows = found.vectors.astype("<f4", copy=False).reshape(-1).view(np.uint8).data
        pieces: Iterator[bytes | memoryview] = chain([head], cut(rows))
        return Pieces(pieces, held, bodies, NPY, None, len(head) + held)
    return Pieces(_json(found, {"dim": model.dim, "model": model.name}), held, bodies, JSON)


def _widths(found: Snapshot) -> tuple[int, int]:
    """Characters of the longest id and of the longest label: numpy gives each as many. Blocks; raises Conflict."""
    longest = (max(map(_longest, _slices(texts)), default=0) for texts in (found.ids, found.labels))
    ids, labels = longest
    size = len(found.ids) * (ids + labels) * CHARACTER_BYTES
    if size > MAX_TEXTS:
        raise Conflict(
            f"ids and labels would take {size:,} bytes in this kind of file, where each has room for the longest; at "
            f"most {MAX_TEXTS:,} are written: ask for JSON, or for {NPY}, which is the vectors alone"
        )
    return ids, labels


def _longest(texts: Sequence[str | None]) -> int:
    return max(len(text or "") for text in texts)


def _slices(texts: Sequence[T]) -> Iterator[Sequence[T]]:
    """Some at a time, as a thread that makes something of all at once lets no other run."""
    return (texts[first : first + TEXTS] for first in range(0, len(texts), TEXTS))


def _npz(found: Snapshot, widths: tuple[int, int]) -> memoryview:
    """Everything in one file for `numpy.load`; blocks."""
    ids, labels = widths
    file = io.BytesIO()
    np.savez(
        file,
        ids=_array(found.ids, ids),
        embeddings=found.vectors,
        labels=_array(found.labels, labels),
        label_sources=_array(found.label_sources, LABEL_SOURCE),
        sources=np.where(found.users, "user", "bundle"),
    )
    return file.getbuffer()


def _array(texts: Sequence[str | None], width: int) -> NDArray[np.str_]:
    array = np.zeros(len(texts), f"<U{max(1, width)}")
    for number, some in enumerate(_slices(texts)):
        array[number * TEXTS :][: len(some)] = [text or "" for text in some]
    return array


def _json(found: Snapshot, others: Fields) -> Iterator[bytes]:
    """`{"ids": […], …, "embeddings": […], …}` in pieces, as none of them may keep the event loop for long."""
    columns: dict[str, Sequence[Any] | NDArray[np.float32]] = {
        "ids": found.ids,
        "labels": found.labels,
        "label_sources": found.label_sources,
        "sources": ["user" if user else "bundle" for user in found.users.tolist()],
        "embeddings": found.vectors,
    }
    start = b"{"
    for name, values in columns.items():
        yield b'%b"%b":[' % (start, name.encode())
        rows = VECTORS if name == "embeddings" else TEXTS
        for first in range(0, len(values), rows):
            yield (b"," if first else b"") + to_json(values[first : first + rows])[1:-1]
        start = b"],"
    yield b"]," + to_json(others)[1:]
