"""How fast the index searches and writes: `OMP_NUM_THREADS=1 python -m tests.reports.index`; the last line is JSON.

Search: 60,000 random unit vectors of 64, 50,000 of them users' items, k = 10, one query after another; recall against
a full sort; then a million vectors, alone and in batches of 32. Writes, into a store without a service: images of 400
bytes, thumbnails of 300; 64 threads that write one item after another, each answered when it is durable and searched;
then groups of 512 into an empty store, from one thread. `tests.reports.writes` asks a real service, and the command.
"""

import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.index.follower import Follower
from serving.index.items import Item, Put
from serving.index.live import LiveIndex
from serving.index.memory import NeighborIndex, Query
from serving.index.store import MAX_GROUP, Store, open_store
from serving.index.writer import Writer
from tests.serving.index.postgres import postgres

DIM = 64
MODEL = "report@1"
BUNDLED, ITEMS, MANY = 10_000, 50_000, 1_000_000
QUERIES = 1000
K = 10
CLIENTS = 64
SECONDS = 5
Figures = dict[str, float]


def random_vectors(size: int, seed: int) -> NDArray[np.float32]:
    """(size, DIM), unit norm."""
    rows = np.random.default_rng(seed).normal(size=(size, DIM)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def new_live(size: int = BUNDLED) -> LiveIndex:
    """The bundle's images alone."""
    ids = [f"bundle/{number}" for number in range(size)]
    return LiveIndex(NeighborIndex(ids, random_vectors(size, 0), ["x"] * size, np.ones(size, np.bool_)), MODEL, DIM)


def search() -> Figures:
    """Milliseconds of one search, alone, with a filter and in a batch of 32, and the recall."""
    live, rows = new_live(), random_vectors(ITEMS, 1)
    first = Item(
        id="", label="y", label_source="given", source="user", metadata="{}", model=MODEL, vector=None, size=0,
        created=0, changed=0, sequence=0,
    )  # fmt: skip
    for part in np.array_split(np.arange(ITEMS), 200):
        live.apply([replace(first, id=f"{number}", vector=rows[number]) for number in part])
    queries = [Query(row, K) for row in random_vectors(QUERIES, 2)]
    everything = live.snapshot()
    hits = 0
    for query in queries[:200]:
        exact = everything.vectors.astype(np.float64) @ query.embedding.astype(np.float64)
        best = {everything.ids[row] for row in np.argpartition(exact, -K)[-K:]}
        hits += len(best & {one["id"] for one in live.search([query])[0]})
    alone = [_seconds(live.search, [query]) for query in queries]
    filtered = [_seconds(live.search, [query._replace(label="y", source="user")]) for query in queries]
    together = [_seconds(live.search, queries[start : start + 32]) / 32 for start in range(0, QUERIES - 32, 32)]
    names = ("p50_ms", "p99_ms", "filtered_p50_ms", "batch_of_32_p50_ms_a_query")
    values = (np.median(alone), np.percentile(alone, 99), np.median(filtered), np.median(together))
    return {name: round(float(value) * 1e3, 3) for name, value in zip(names, values, strict=True)} | {
        "recall": hits / (200 * K)
    }


def search_many() -> Figures:
    """Milliseconds of one search among MANY vectors, alone and in a batch of 32."""
    live, queries = new_live(MANY), [Query(row, K) for row in random_vectors(320, 2)]
    alone = [_seconds(live.search, [query]) for query in queries[:100]]
    together = [_seconds(live.search, queries[start : start + 32]) / 32 for start in range(0, len(queries), 32)]
    figures = {"p50_ms": np.median(alone), "least_ms": min(alone), "batch_of_32_p50_ms_a_query": np.median(together)}
    return {name: round(float(value) * 1e3, 3) for name, value in figures.items()}


def _seconds(search: Callable[[list[Query]], object], queries: list[Query]) -> float:
    start = time.perf_counter()
    search(queries)
    return time.perf_counter() - start


def puts(start: int, size: int, rows: NDArray[np.float32]) -> list[Put]:
    """`size` items; each image has bytes of its own."""
    image = [np.random.default_rng(start + number).bytes(400) for number in range(size)]
    return [
        Put(
            id=f"{start + number}", image=image[number], thumbnail=image[number][:300], vector=rows[number], model=MODEL
        )
        for number in range(size)
    ]


def writes(store: Store) -> Figures:
    """Durable single writes a second, and items a second in bulk."""
    rows, numbers, live = random_vectors(MAX_GROUP, 3), count(), new_live()
    follower = Follower(store, live)
    groups = [puts(1_000_000 + MAX_GROUP * number, MAX_GROUP, rows) for number in range(40)]
    begun = time.perf_counter()
    for group in groups:
        store.write(group)
    bulk = sum(map(len, groups)) / (time.perf_counter() - begun)
    follower.catch_up()
    writer = Writer(store, follower.catch_up)
    writer.start()
    until = time.perf_counter() + SECONDS

    def client(_: int) -> int:
        written = 0
        while time.perf_counter() < until:
            number = next(numbers)
            (result,) = writer.add(puts(number, 1, rows[number % MAX_GROUP :])).result()
            assert isinstance(result, Item)
            written += 1
        return written

    with ThreadPoolExecutor(CLIENTS) as pool:
        single = sum(pool.map(client, range(CLIENTS))) / SECONDS
    until = time.perf_counter() + SECONDS
    alone = client(0)
    writer.stop()
    assert len(live) == BUNDLED + store.totals().items
    figures = {"bulk_items_s": bulk, "single_writes_s": single, "single_writes_s_one_client": alone / SECONDS}
    return {name: round(value) for name, value in figures.items()}


def main() -> None:
    """Everything, as one JSON document."""
    figures = {"search": search(), "search_a_million": search_many()}
    with tempfile.TemporaryDirectory() as folder, closing(open_store(str(Path(folder) / "index.sqlite"))) as store:
        figures["sqlite"] = writes(store)
    with postgres() as server, closing(open_store(server.new_database())) as store:
        figures["postgres"] = writes(store)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
