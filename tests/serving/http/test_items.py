"""The index's items on a fake model: keep, read, label, delete, list."""

import io
import json
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.conftest import Digits
from tests.pictures.uploads import encoded, enlarged
from tests.serving.fakes import FakeModel

Client = httpx.Client
FIELDS = {
    "id", "label", "label_source", "source", "metadata", "embedded_by", "searched", "bytes", "created", "changed",
    "model",
}  # fmt: skip


@pytest.fixture
def picture(digits: Digits) -> bytes:
    return encoded(digits[0][0])


def put(client: Client, own_id: str, content: bytes, query: str = "") -> dict[str, Any]:
    response = client.put(f"/index/items/{quote(own_id)}{query}", content=content)
    assert response.status_code in (200, 201), response.text
    answer: dict[str, Any] = response.json()
    return answer


def ids(client: Client, query: str = "") -> list[str]:
    return [one["id"] for one in client.get(f"/index/items{query}").json()["items"]]


def found(client: Client, content: bytes, query: str = "") -> list[tuple[str, str | None]]:
    neighbors = client.post(f"/search{query}", content=content).json()["neighbors"]
    return [(one["id"], one["label"]) for one in neighbors]


def test_nothing_is_made_before_something_is_written(client: TestClient, tmp_path: Path, picture: bytes) -> None:
    client.get("/index")
    client.get("/index/items")
    client.get("/metrics")
    assert client.delete("/index/items/nothing").status_code == 404
    assert client.patch("/index/items/nothing", json={"label": "x"}).status_code == 404
    assert client.put("/index/items/x", content=b"no image").status_code == 415
    assert not (tmp_path / "index").exists()
    put(client, "x", picture)
    assert (tmp_path / "index" / "fake.sqlite").exists()


def test_what_is_put_is_told_found_and_given_back(door: Client, picture: bytes) -> None:
    new = door.put("/index/items/cats/one.png?label=cat", content=picture)
    assert (new.status_code, new.headers["location"]) == (201, "/index/items/cats/one.png")
    item = new.json()
    assert set(item) == FIELDS
    assert (item["id"], item["label"], item["label_source"], item["source"]) == ("cats/one.png", "cat", "given", "user")
    assert (item["embedded_by"], item["model"], item["searched"]) == (FakeModel.name, FakeModel.name, True)
    assert item["created"] == item["changed"]
    assert item["created"].endswith("+00:00")
    assert item["bytes"] > len(picture)
    assert door.get("/index/items/cats/one.png").json() == item
    assert found(door, picture, "?k=1") == [("cats/one.png", "cat")]
    file = door.get("/index/images/cats/one.png")
    assert file.content == picture
    assert file.headers["content-type"] == "image/png"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert file.headers["content-length"] == str(len(picture))


@pytest.mark.parametrize(("form", "kind"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp"), ("BMP", "bmp"),
                                            ("GIF", "gif"), ("TIFF", "tiff")])  # fmt: skip
def test_files_of_every_kind_come_back_as_what_they_are(
    client: TestClient, digits: Digits, form: str, kind: str
) -> None:
    content = encoded(enlarged(digits[0][0]), form)
    put(client, "f", content)
    response = client.get("/index/images/f")
    assert (response.headers["content-type"], response.content) == (f"image/{kind}", content)
    thumbnail = client.get("/index/thumbnails/f")
    assert thumbnail.headers["content-type"] == "image/png"
    seen = client.post("/predict?debug=true", content=content).json()["seen"]
    assert seen.endswith(b64encode(thumbnail.content).decode())


def test_a_form_brings_metadata(door: Client, picture: bytes) -> None:
    metadata = {"taken": "2026-12-01", "Größe": [1, 2.5, None], "nested": {"a": '"}'}}
    url, file = "/index/items/form", {"file": ("a.png", picture)}
    answer = door.put(url, files=file, data={"metadata": json.dumps(metadata)})
    assert (answer.status_code, answer.json()["metadata"]) == (201, metadata)
    assert door.get("/index/images/form").content == picture
    again = door.put(url, files=file)
    assert (again.status_code, again.json()["metadata"]) == (200, {})
    for bad in ("[]", "{", "NaN", '{"a": NaN}', '{"a": Infinity}', "x" * 20_000, "[" * 9_000,
                '{"a": "\\ud800"}', '{"a": 1e999}', '{"a": %s}' % ("1" * 4000)):  # fmt: skip
        refused = door.put(url, files=file, data={"metadata": bad})
        assert (refused.status_code, "metadata" in refused.json()["detail"]) == (400, True), bad
    twice = door.put(url, files=[("file", picture), ("metadata", b"{}"), ("metadata", b"{}")])
    assert (twice.status_code, "2 times" in twice.json()["detail"]) == (400, True)
    assert door.put(url, files=[("file", picture), ("metadata", b"\xff")]).status_code == 400
    dropped = door.put(url, files=file, data={"label": "x", "metadata": "{}"})
    assert (dropped.status_code, "'label'" in dropped.json()["detail"]) == (400, True)
    assert door.get(url).json()["metadata"] == {}


def test_a_second_put_takes_the_place_of_the_first(client: TestClient, digits: Digits) -> None:
    first, second = (encoded(image) for image in digits[0][:2])
    old = put(client, "f", first, "?label=x")
    response = client.put("/index/items/f", content=second)
    assert (response.status_code, "location" in response.headers) == (200, False)
    item = response.json()
    assert (item["label"], item["label_source"], item["created"]) == (None, None, old["created"])
    assert item["changed"] > old["changed"]
    assert client.get("/index/images/f").content == second
    assert client.get("/index").json()["items"] == 1


def test_labels_are_set_changed_and_taken_away(door: Client, picture: bytes) -> None:
    put(door, "f", picture, "?label=x")
    item = door.patch("/index/items/f", json={"label": "Kätzchen"}).json()
    assert (item["label"], item["label_source"]) == ("Kätzchen", "person")
    assert found(door, picture, "?label=K%C3%A4tzchen") == [("f", "Kätzchen")]
    item = door.patch("/index/items/f", json={"label": None}).json()
    assert (item["label"], item["label_source"]) == (None, None)
    assert found(door, picture, "?label=") == [("f", None)]
    assert door.get("/index/images/f").content == picture
    labels: list[Any] = ["", 7, "x" * 256, "\0", "a\nb", " a", "a\u2028b", ["x"]]
    bodies: list[Any] = [{}, [], None, {"label": "x", "more": 1}, *({"label": label} for label in labels)]
    for bad in bodies:
        assert door.patch("/index/items/f", json=bad).status_code == 400, bad
    assert door.patch("/index/items/f", content=b'{"label": "\\ud800"}').status_code == 400
    assert door.patch("/index/items/f", content=b"[" * 20_000).status_code == 413
    assert door.patch("/index/items/g", json={"label": "x"}).status_code == 404


def test_the_bundles_own_images_can_be_labelled_and_not_replaced(door: Client, picture: bytes) -> None:
    own = door.get("/index/items/b").json()
    assert (own["label"], own["label_source"], own["source"], own["created"]) == ("1", "predicted", "bundle", None)
    assert (own["bytes"], own["metadata"], own["searched"]) == (0, {}, True)
    told = door.patch("/index/items/b", json={"label": "one"}).json()
    assert (told["label"], told["label_source"], told["source"]) == ("one", "person", "bundle")
    assert found(door, picture, "?label=one&source=bundle") == [("b", "one")]
    assert door.patch("/index/items/b", json={"label": None}).json()["label"] is None
    assert door.get("/index/items/b").json()["label"] is None
    assert ("b", None) in found(door, picture)
    refused = door.put("/index/items/b", content=picture)
    assert (refused.status_code, refused.json()["status"]) == (409, 409)
    assert door.get("/index/images/b").status_code == 404
    assert door.delete("/index/items/b").status_code == 204
    assert door.get("/index/items/b").json() == own
    nothing = door.delete("/index/items/b")
    assert (nothing.status_code, "nothing lies over it" in nothing.json()["detail"]) == (409, True)


def test_what_is_deleted_is_gone(door: Client, picture: bytes) -> None:
    put(door, "a/b", picture, "?label=x")
    response = door.delete("/index/items/a/b")
    assert (response.status_code, response.content) == (204, b"")
    for kind in ("items", "images", "thumbnails"):
        gone = door.get(f"/index/{kind}/a/b")
        assert (gone.status_code, gone.headers["content-type"]) == (404, "application/problem+json")
    assert found(door, picture, "?source=user") == []
    assert door.delete("/index/items/a/b").status_code == 404
    totals = door.get("/index").json()
    assert (totals["items"], totals["bytes"], totals["searched"]) == (0, 0, 4)


def test_pages_go_through_bundle_and_items_together(client: TestClient, picture: bytes) -> None:
    for own_id in ("aa", "bb/1", "z", "ä"):
        put(client, own_id, picture, "?label=mine")
    client.patch("/index/items/c", json={"label": "mine"})
    everything = ["a", "aa", "b", "bb/1", "c", "d", "z", "ä"]
    assert ids(client) == ids(client, "?limit=8") == everything
    for limit in (1, 2, 3, 7):
        seen, cursor = [], ""
        while True:
            page = client.get(f"/index/items?limit={limit}{cursor}").json()
            seen += [one["id"] for one in page["items"]]
            assert len(page["items"]) <= limit
            if page["cursor"] is None:
                break
            cursor = f"&cursor={page['cursor']}"
        assert seen == everything
    assert ids(client, "?label=mine") == ["aa", "bb/1", "c", "z", "ä"]
    assert ids(client, "?label=mine&source=bundle") == ["c"]
    assert ids(client, "?source=bundle") == ["a", "b", "c", "d"]
    assert ids(client, "?source=user&limit=2") == ["aa", "bb/1"]
    assert ids(client, "?label=2") == ids(client, "?label=") == []
    client.patch("/index/items/d", json={"label": None})
    assert ids(client, "?label=") == ["d"]
    (shown,) = client.get("/index/items?label=").json()["items"]
    assert set(shown) == FIELDS - {"model"}


@pytest.mark.parametrize("query", [
    "?limit=0", "?limit=1001", "?limit=x", "?cursor=%2F", "?cursor=eA%3D%3D%3D", "?cursor=a", "?cursor=Li4",
    "?cursor=_w", "?label=%00", "?label=%FF", f"?label={'x' * 256}", "?source=mine", "?cursor=AA",
])  # fmt: skip
def test_bad_queries_are_refused(client: TestClient, query: str) -> None:
    response = client.get(f"/index/items{query}")
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")


def test_thumbnails_are_what_the_model_saw(client: TestClient, digits: Digits) -> None:
    put(client, "a/b", encoded(digits[0][0]))
    response = client.get("/index/thumbnails/a/b")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(response.content))), digits[0][0])
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert client.get("/index/thumbnails/a").status_code == 404, "this bundle has none"


def test_a_head_is_answered_as_a_get(door: Client, picture: bytes) -> None:
    put(door, "a/b", picture)
    for path in ("/index", "/index/items", "/index/items/a/b", "/index/images/a/b", "/index/thumbnails/a/b",
                 "/index/labels.csv", "/index/next", "/index/embeddings"):  # fmt: skip
        got = door.get(path)
        head = door.head(path)
        assert (head.status_code, head.headers["content-type"]) == (200, got.headers["content-type"]), path
    assert door.head("/index/items/nothing").status_code == 404


def test_405_names_all_methods(door: Client) -> None:
    for path, allowed in (("/index/items/a", "DELETE, GET, PATCH, PUT"), ("/index/items", "GET"), ("/predict", "POST")):
        response = door.request("PURGE" if path == "/predict" else "POST", path)
        if path == "/predict":
            response = door.delete(path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed), path


def test_metrics_tell_what_the_index_holds(client: TestClient, picture: bytes) -> None:
    item = put(client, "a/b", picture)
    text = client.get("/metrics").text
    for line in ("fewlabel_index_items 1.0", f"fewlabel_index_bytes {float(item['bytes'])}",
                 "fewlabel_index_missing 0.0", "fewlabel_index_store_up 1.0",
                 'fewlabel_requests_total{route="/index/items/{id:path}",status="201"} 1.0'):  # fmt: skip
        assert line in text.splitlines(), line
