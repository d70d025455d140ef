"""The index as a whole on a fake model: labels, vectors, what to label next, bounds, a store that fails."""

import csv
import io
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.index.collection import PAGE
from serving.index.memory import NeighborIndex
from serving.settings import Settings
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.conftest import wait_for_decoder
from tests.serving.fakes import FakeModel, fake_index

NPY, NPZ = {"Accept": "application/x-npy"}, {"Accept": "application/x-npz"}


@contextmanager
def client_of(model: FakeModel, bundle: NeighborIndex | None = None, **settings: Any) -> Iterator[TestClient]:
    app = create_app(
        Settings(**{"request_timeout_s": 0.5, **settings}), model, fake_index() if bundle is None else bundle
    )
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        wait_for_decoder(client)
        yield client


@pytest.fixture
def picture(digits: Digits) -> bytes:
    return encoded(digits[0][0])


def put(client: httpx.Client, own_id: str, content: bytes, query: str = "") -> httpx.Response:
    return client.put(f"/index/items/{own_id}{query}", content=content)


def rows(client: httpx.Client, query: str = "") -> list[list[str]]:
    response = client.get(f"/index/labels.csv{query}")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    head, *found = csv.reader(io.StringIO(response.content.decode(), newline=""))
    assert head == ["path", "label"]
    return found


def test_labels_that_people_know_of_are_a_table(door: httpx.Client, picture: bytes) -> None:
    assert rows(door) == [["a", "0"]], "the others are predicted"
    put(door, "x/1", picture, '?label=a "cat", or two')
    put(door, "x/2, really", picture, "?label=Äpfel")
    put(door, "x/3", picture)
    put(door, "x/4", picture, "?label=[a]")
    door.patch("/index/items/c", json={"label": "cat"})
    door.patch("/index/items/a", json={"label": None})
    user = [["x/1", 'a "cat", or two'], ["x/2, really", "Äpfel"], ["x/4", '["[a]"]']]  # else a list of choices is meant
    assert rows(door) == [["c", "cat"], *user]
    assert rows(door, "?source=user") == user
    assert rows(door, "?source=bundle") == [["c", "cat"]]


def test_a_long_table_is_whole(model: FakeModel) -> None:
    count = 2 * PAGE + 3
    ids, vectors = [f"{number:05}" for number in range(count)], np.tile(np.eye(4), (count, 1))[:count]
    index = NeighborIndex(ids, vectors, ["x"] * count, np.ones(count, np.bool_))
    with client_of(model, index) as client:
        assert rows(client) == [[own_id, "x"] for own_id in ids]


def test_vectors_come_with_their_names_at_one_moment(door: httpx.Client, picture: bytes) -> None:
    put(door, "猫/f", picture, "?label=x")
    door.patch("/index/items/b", json={"label": None})
    answer = door.get("/index/embeddings").json()
    assert answer["ids"] == ["a", "b", "c", "d", "猫/f"]
    assert answer["labels"] == ["0", None, "2", "3", "x"]
    assert answer["label_sources"] == ["given", None, "predicted", "predicted", "given"]
    assert answer["sources"] == ["bundle"] * 4 + ["user"]
    assert (answer["dim"], answer["model"]) == (4, FakeModel.name)
    expected = np.concatenate([np.eye(4), [[0.6, 0.8, 0, 0]]]).astype(np.float32)
    assert np.array_equal(np.array(answer["embeddings"], np.float32), expected)
    for accept in (NPY, {"Accept": "application/octet-stream"}):
        response = door.get("/index/embeddings", headers=accept)
        vectors = np.load(io.BytesIO(response.content))
        assert (vectors.dtype, response.headers["content-type"]) == (np.float32, "application/x-npy")
        assert np.array_equal(vectors, expected)
    arrays = np.load(io.BytesIO(door.get("/index/embeddings", headers=NPZ).content))
    assert np.array_equal(arrays["embeddings"], expected)
    for name in ("ids", "labels", "label_sources", "sources"):
        assert arrays[name].tolist() == [one or "" for one in answer[name]]


@pytest.mark.parametrize("count", [0, 1, 64, 65, 5000])
def test_any_number_of_vectors_is_written(model: FakeModel, count: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    index = NeighborIndex([str(number) for number in range(count)], vectors, [None] * count, np.zeros(count, np.bool_))
    with client_of(model, index, request_timeout_s=10) as client:
        answer = client.get("/index/embeddings").json()
        assert answer["ids"] == [str(number) for number in range(count)]
        assert np.array_equal(np.array(answer["embeddings"], np.float32).reshape(-1, 4), vectors)
        assert np.array_equal(np.load(io.BytesIO(client.get("/index/embeddings", headers=NPY).content)), vectors)
        assert len(np.load(io.BytesIO(client.get("/index/embeddings", headers=NPZ).content))["ids"]) == count
        assert len(client.get("/index/next?n=3").json()["items"]) == min(count, 3)


def test_many_embeddings_at_once_as_rows(door: httpx.Client, digits: Digits) -> None:
    files = [("files", encoded(image)) for image in digits[0][:5]]
    response = door.post("/embed/batch", files=files, headers=NPY)
    assert response.headers["content-type"] == "application/x-npy"
    vectors = np.load(io.BytesIO(response.content))
    assert (vectors.dtype, vectors.tolist()) == (np.float32, [pytest.approx([0.6, 0.8, 0, 0])] * 5)
    bad = door.post("/embed/batch", files=[*files, ("files", b"text")], headers=NPY)
    assert (bad.status_code, bad.json()["detail"].startswith("image 6 of 6: ")) == (415, True)


def test_what_nobody_has_labelled_is_to_be_labelled_next(door: httpx.Client, picture: bytes) -> None:
    put(door, "f", picture)
    put(door, "g", picture, "?label=x")
    chosen = door.get("/index/next").json()
    assert {one["id"] for one in chosen["items"]} == {"b", "c", "d", "f"}
    assert chosen["model"] == FakeModel.name
    assert {one["label_source"] for one in chosen["items"]} == {"predicted", None}
    assert len(door.get("/index/next?n=2").json()["items"]) == 2
    for own_id in "bcdf":
        door.patch(f"/index/items/{own_id}", json={"label": "x"})
    assert door.get("/index/next").json()["items"] == []
    for query in ("?n=0", "?n=201", "?n=x"):
        assert door.get(f"/index/next{query}").status_code == 400


def test_without_classes_all_that_is_unlabelled_is_offered(picture: bytes) -> None:
    with client_of(FakeModel(()), fake_index([None] * 4)) as client:
        assert put(client, "f", picture, "?label=new").status_code == 201
        assert {one["id"] for one in client.get("/index/next").json()["items"]} == set("abcd")
        assert rows(client) == [["f", "new"]]
        assert client.post("/predict", content=picture).status_code == 409


def test_bounds_are_kept(model: FakeModel, digits: Digits, tmp_path: Path) -> None:
    images = [encoded(image) for image in digits[0][:3]]
    with client_of(model, index_max_items=2) as client:
        assert [put(client, f"f{number}", image).status_code for number, image in enumerate(images)] == [201, 201, 507]
        assert put(client, "f1", images[2]).status_code == 200
        assert client.patch("/index/items/a", json={"label": "x"}).status_code == 507
        assert client.delete("/index/items/f0").status_code == 204
        assert client.patch("/index/items/a", json={"label": "x"}).status_code == 200
        totals = client.get("/index").json()
        assert (totals["items"], totals["max_items"]) == (2, 2)
    with client_of(model, index=str(tmp_path / "small"), index_max_bytes=100) as client:
        full = put(client, "f", images[0])
        assert (full.status_code, full.headers["content-type"]) == (507, "application/problem+json")


def test_a_store_that_fails_leaves_searches_as_they_are(model: FakeModel, picture: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(b"no database" * 1000)
    with client_of(model, index=str(path)) as client:
        totals = client.get("/index").json()
        assert (totals["available"], totals["items"], totals["searched"]) == (False, None, 4)
        assert "damaged" in totals["problem"]
        read = [client.get(f"/index/{path}") for path in ("items", "items/f", "images/f", "thumbnails/f", "labels.csv")]
        for response in (*read, put(client, "f", picture), client.patch("/index/items/a", json={"label": "x"})):
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert client.post("/search", content=picture).json()["neighbors"][0]["id"] == "b"
        assert len(client.get("/index/next").json()["items"]) == 3
        assert client.get("/health/ready").status_code == 200
        assert "fewlabel_index_store_up 0.0" in client.get("/metrics").text
    assert path.read_bytes() == b"no database" * 1000


def test_a_store_that_is_locked_keeps_nobody_waiting_for_long(model: FakeModel, picture: bytes, tmp_path: Path) -> None:
    path = tmp_path / "locked"
    with client_of(model, index=str(path)) as client:
        assert put(client, "f", picture).status_code == 201
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.perf_counter()
            response = put(client, "g", picture)
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert time.perf_counter() - began < 3, "not the five seconds that the store itself waits"
            assert client.get("/index/items/f").status_code == 200
            assert client.post("/search?source=user", content=picture).json()["neighbors"][0]["id"] == "f"
            other.execute("ROLLBACK")
        assert put(client, "h", picture).status_code == 201


def test_what_was_accepted_is_written_before_the_service_ends(model: FakeModel, picture: bytes) -> None:
    statuses: list[int] = []
    with client_of(model, request_timeout_s=5) as client:
        threads = [
            threading.Thread(target=lambda name=f"f{number}": statuses.append(put(client, name, picture).status_code))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with client_of(model) as client:
        assert client.get("/index").json()["items"] == statuses.count(201)
        assert set(statuses) <= {201, 503}


def test_items_of_another_model_are_missing_and_said_to_be(model: FakeModel, picture: bytes) -> None:
    with client_of(model) as client:
        put(client, "f", picture, "?label=x")
        assert "missing" not in client.post("/search", content=picture).json()
    model.name = "fake@111111111111"
    with client_of(model) as client:
        for answer in (
            client.post("/search", content=picture),
            client.post("/search/vector", json={"embedding": [1] * 4}),
        ):
            assert (answer.json()["missing"], len(answer.json()["neighbors"])) == (1, 4)
        item = client.get("/index/items/f").json()
        assert (item["searched"], item["embedded_by"], item["label"]) == (False, FakeModel.name, "x")
        totals = client.get("/index").json()
        assert (totals["items"], totals["missing"], totals["searched"]) == (1, 1, 4)
        assert rows(client, "?source=user") == [["f", "x"]]
        put(client, "f", picture)
        assert client.get("/index").json()["missing"] == 0
