"""Answers about the index that may be large: counted in memory, and made where they keep nobody waiting."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.index.items import MAX_ID
from serving.index.live import Known, LiveIndex
from serving.index.memory import NeighborIndex
from serving.settings import Settings
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.conftest import wait_for_decoder
from tests.serving.fakes import FakeModel

NPY, NPZ, JSON = ({"Accept": f"application/{kind}"} for kind in ("x-npy", "x-npz", "json"))
MANY = 200_000


def bundle_of(ids: list[str], label: str = "x") -> NeighborIndex:
    count = len(ids)
    vectors = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    return NeighborIndex(ids, vectors, [label] * count, np.zeros(count, np.bool_))


@contextmanager
def client_of(bundle: NeighborIndex, **settings: Any) -> Iterator[TestClient]:
    app = create_app(Settings(**{"request_timeout_s": 30, **settings}), FakeModel(), bundle)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        wait_for_decoder(client)
        yield client


@pytest.mark.parametrize("path", ["items", "items?limit=1", "map", "doubtful", "next"])
def test_answers_count_while_they_are_sent(client: TestClient, path: str) -> None:
    bodies = client.app_state["bodies"]
    with bodies.lent(Settings().max_bodies_bytes):
        busy = client.get(f"/index/{path}")
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    answer = client.get(f"/index/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["content-length"] == str(len(answer.content))
    with bodies.lent(Settings().max_bodies_bytes - len(answer.content)):
        assert client.get(f"/index/{path}").status_code == 200, "nothing stays counted"


@pytest.mark.parametrize("accept", [NPY, NPZ, JSON], ids=["npy", "npz", "json"])
def test_vectors_count_before_they_are_copied(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, accept: dict[str, str]
) -> None:
    assert client.get("/index/embeddings", headers=accept).status_code == 200
    copied: list[bool] = []
    monkeypatch.setattr(LiveIndex, "snapshot", lambda _: copied.append(True))
    with client.app_state["bodies"].lent(Settings().max_bodies_bytes):
        assert client.get("/index/embeddings", headers=accept).status_code == 503
    assert not copied


def test_the_file_of_arrays_counts_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bool] = []
    ids = [str(number).zfill(MAX_ID) for number in range(100)]
    with client_of(bundle_of(ids), max_bodies_bytes=110_000) as client:
        assert client.get("/index/embeddings", headers=NPZ).status_code == 200, "it is alone"
        with client.app_state["bodies"].lent(1000):
            assert client.get("/index/embeddings", headers=NPY).status_code == 200
            monkeypatch.setattr(np, "savez", lambda *_, **__: written.append(True))
            assert client.get("/index/embeddings", headers=NPZ).status_code == 503
    assert not written


def test_one_long_id_does_not_take_memory_for_all() -> None:
    ids = [str(number) for number in range(MANY)]
    with client_of(bundle_of(ids)) as client:
        arrays = np.load(io.BytesIO(client.get("/index/embeddings", headers=NPZ).content))
        assert arrays["ids"].tolist() == ids
        assert set(arrays["labels"].tolist()) == {"x"}
    with client_of(bundle_of([*ids[1:], "x" * MAX_ID])) as client:
        refused = client.get("/index/embeddings", headers=NPZ)
        assert (refused.status_code, "ask for JSON" in refused.json()["detail"]) == (409, True)
        assert client.get("/index/embeddings", headers=JSON).json()["ids"][-1] == "x" * MAX_ID
        assert len(np.load(io.BytesIO(client.get("/index/embeddings", headers=NPY).content))) == MANY


def test_the_event_loop_waits_for_no_search(
    client: TestClient, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To ask what is known waits while a search goes on."""
    known, on_threads = LiveIndex.known, []

    def recorded(live: LiveIndex, own_id: str) -> Known | None:
        try:
            asyncio.get_running_loop()
            on_threads.append(False)
        except RuntimeError:
            on_threads.append(True)
        return known(live, own_id)

    monkeypatch.setattr(LiveIndex, "known", recorded)
    statuses = [
        client.put("/index/items/f", content=encoded(digits[0][0])).status_code,
        client.put("/index/items/a", content=encoded(digits[0][0])).status_code,
        *(client.patch(f"/index/items/{own_id}", json={"label": "x"}).status_code for own_id in "fa"),
        *(client.get(f"/index/{kind}/{own_id}").status_code for kind in ("items", "thumbnails") for own_id in "fa"),
        client.get("/index/items").status_code,
        *(client.delete(f"/index/items/{own_id}").status_code for own_id in "faa"),
    ]
    assert statuses == [201, 409, 200, 200, 200, 200, 200, 404, 200, 204, 204, 409]
    assert on_threads
    assert all(on_threads)
