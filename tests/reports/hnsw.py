"""pgvector's HNSW index at a million vectors, by the SQL of serving/index/README.md: `python -m tests.reports.hnsw`.

Embeddings of the committed model: the 60,000 training digits, each shifted, turned and scaled many times, and as
queries the first test digits as they are; `--vectors random` takes random unit vectors, which have no neighbourhoods
and are the worst case. Recall is against exact search in float32; each search is one statement on one connection, one
after another, from this process. With a filter: of the label that the query has itself, and of another one, which few
of its neighbours have. The last line is JSON. Needs data/ (`make train-export` fetches it) unless random.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import cv2
import numpy as np
import psycopg
from numpy.typing import NDArray

from serving.index.group import Bounds
from serving.index.postgres import PostgresStore
from serving.model import Model, load_model
from tests.conftest import BUNDLE, ROOT
from tests.reports.index import puts, random_vectors
from tests.serving.index.documented import documented
from tests.serving.index.postgres import postgres

Vectors = NDArray[np.float32]
MODEL = "digits@000000000000"
K = 10
WARM_UP = 200
COPY = """COPY fewlabel_items (id, sequence, source, label, metadata, model, vector, size, created, changed)
    FROM STDIN"""
SETTINGS = "SET maintenance_work_mem = '1500MB'", "SET max_parallel_maintenance_workers = 2", "ANALYZE fewlabel_items"


class Sample(NamedTuple):
    """What is searched, and what for."""

    rows: Vectors
    labels: list[str]
    """Of the rows."""
    queries: Vectors
    wanted: list[str]
    """Labels of the queries."""


def embedded(model: Model, images: NDArray[np.uint8]) -> Iterator[Vectors]:
    """(n, 28, 28) → (up to 256, dim) at a time."""
    for first in range(0, len(images), 256):
        yield np.stack([one.embedding for one in model.run_batch(images[first : first + 256, None])])


def drawn_anew(images: NDArray[np.uint8], size: int) -> Iterator[NDArray[np.uint8]]:
    """`size` digits in all, (n, 28, 28) at a time: shifted by up to 2 pixels, turned by 15°, scaled by a tenth."""
    chance, side = np.random.default_rng(0), images.shape[1]
    for first in range(0, size, len(images)):
        rows = images[: min(len(images), size - first)]
        moved = np.empty_like(rows)
        for number, row in enumerate(rows):
            turn = cv2.getRotationMatrix2D((side / 2, side / 2), chance.uniform(-15, 15), chance.uniform(0.9, 1.1))
            turn = turn + np.array([[0, 0, shift] for shift in chance.uniform(-2, 2, 2)])
            moved[number] = cv2.warpAffine(row, turn, (side, side))
        yield moved


def digits(size: int, queries: int) -> Sample:
    """Embeddings of digits."""
    from training.data.mnist import load

    model = load_model(BUNDLE, "auto", 1, 256)
    train, test = load(ROOT / "data")
    images, labels = (value.numpy() for value in (train.images[:, 0], train.labels))
    rows = np.concatenate([one for part in drawn_anew(images, size) for one in embedded(model, part)])
    sought = np.concatenate(list(embedded(model, test.images[:queries, 0].numpy())))
    names = train.class_names
    return Sample(
        rows,
        [names[label] for label in np.resize(labels, size)],
        sought,
        [names[label] for label in test.labels[:queries].tolist()],
    )


def random(size: int, queries: int) -> Sample:
    """Unit vectors of no structure at all."""
    labels = [str(number % 10) for number in range(max(size, queries))]
    return Sample(random_vectors(size, 1), labels[:size], random_vectors(queries, 2), labels[:queries])


def exact(rows: Vectors, queries: Vectors) -> list[set[str]]:
    """The true K neighbours: their numbers."""
    scores = (queries[first : first + 50] @ rows.T for first in range(0, len(queries), 50))
    return [set(map(str, np.argpartition(-row, K)[:K])) for part in scores for row in part]


def exact_of(labels: list[str], sample: Sample) -> list[set[str]]:
    """The true K neighbours among those of one label a query."""
    found = list[set[str]]()
    known = np.array(sample.labels)
    numbers = {label: np.flatnonzero(known == label) for label in set(labels)}
    rows = {label: sample.rows[number] for label, number in numbers.items()}
    for query, label in zip(sample.queries, labels, strict=True):
        found.append({str(numbers[label][int(row)]) for row in exact(rows[label], query[None])[0]})
    return found


def fill(address: str, sample: Sample) -> None:
    """Rows as the store keeps them, without pictures."""
    with closing(PostgresStore(address, Bounds())) as store:
        store.write(puts(len(sample.rows), 1, random_vectors(1, 9)))  # makes the tables; of another model
    with psycopg.connect(address) as connection, connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for number, (row, label) in enumerate(zip(sample.rows, sample.labels, strict=True)):
            copy.write_row((str(number), number + 2, "user", label, "{}", MODEL, text(row), 600, 0, 0))


def text(vector: Vectors) -> str:
    return f"[{','.join(map(str, vector.tolist()))}]"


def searched(
    connection: "psycopg.Connection[Any]", sql: str, sample: Sample, labels: list[str]
) -> tuple[list[set[str]], NDArray[np.float64]]:
    """What each query finds, and its seconds; the first ones are asked twice, to warm up."""
    found, seconds = list[set[str]](), list[float]()
    asked = [{"embedding": text(query), "label": label} for query, label in zip(sample.queries, labels, strict=True)]
    for one in [*asked[:WARM_UP], *asked]:
        start = time.perf_counter()
        answer = connection.execute(sql.encode(), one).fetchall()
        seconds.append(time.perf_counter() - start)
        found.append({row[0] for row in answer})
    return found[-len(asked) :], np.array(seconds[-len(asked) :])


def measure(address: str, sample: Sample) -> dict[str, float]:
    """Seconds to build, megabytes, recall and milliseconds."""
    fill(address, sample)
    dim = sample.rows.shape[1]
    others = [next(label for label in "10" if label != own) for own in sample.wanted]
    asked = {"": ("search", sample.wanted, exact(sample.rows, sample.queries))}
    asked["_own_label"] = "filtered", sample.wanted, exact_of(sample.wanted, sample)
    asked["_another_label"] = "filtered", others, exact_of(others, sample)
    figures: dict[str, float] = {"vectors": len(sample.rows), "queries": len(sample.queries)}
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in SETTINGS:
            connection.execute(statement.encode())
        start = time.perf_counter()
        connection.execute(documented("create", MODEL, dim)[0].encode())
        figures["build_s"] = time.perf_counter() - start
        (megabytes,) = connection.execute("SELECT pg_relation_size('fewlabel_hnsw') / 1e6").fetchone() or (0,)
        figures["index_mb"] = float(megabytes)
        for statement in documented("settings", MODEL, dim):
            connection.execute(statement.encode())
        for what, (name, labels, truth) in asked.items():
            found, seconds = searched(connection, documented(name, MODEL, dim)[0], sample, labels)
            figures[f"recall_at_10{what}"] = recall(found, truth)
            figures[f"p50_ms{what}"] = 1e3 * float(np.median(seconds))
            figures[f"p99_ms{what}"] = 1e3 * float(np.percentile(seconds, 99))
    return {name: round(value, 4) for name, value in figures.items()}


def recall(found: list[set[str]], truth: list[set[str]]) -> float:
    return sum(len(one & other) for one, other in zip(found, truth, strict=True)) / (K * len(truth))


def main() -> None:
    """One JSON document."""
    parser = argparse.ArgumentParser("python -m tests.reports.hnsw", description=__doc__)
    parser.add_argument("--vectors", choices=["digits", "random"], default="digits")
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1000)
    chosen = parser.parse_args()
    sample = (digits if chosen.vectors == "digits" else random)(chosen.size, chosen.queries)
    with postgres() as server:
        address = server.new_database()
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET shared_buffers = '1GB'")  # the index lies in memory
        server.stop()
        server.start()
        print(json.dumps({"of": chosen.vectors} | measure(address, sample)))


if __name__ == "__main__":
    main()
