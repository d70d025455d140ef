"""Items to write, and what is expected of them."""

from typing import Any

import numpy as np

from serving.index.items import Item, Put, Vector

MODEL = "fake@000000000000"
DIM = 8


def vectors(count: int, seed: int = 0) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """(count, DIM) random unit vectors."""
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def vector(seed: int = 0) -> Vector:
    return np.asarray(vectors(1, seed)[0])


def put(own_id: str, seed: int = 0, **changed: Any) -> Put:
    fields = {"image": b"image of " + own_id.encode(), "thumbnail": b"thumbnail", "vector": vector(seed)}
    return Put(id=own_id, **{"model": MODEL, **fields, **changed})


def written(result: object) -> Item:
    """The result of a write that succeeded."""
    assert isinstance(result, Item), result
    return result
