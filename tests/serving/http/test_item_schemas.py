"""Answers about the index against what OpenAPI documents for their route, status and media type."""

from typing import Any

import httpx2 as httpx
import pytest
from fastapi.encoders import jsonable_encoder
from fastapi.testclient import TestClient

from serving.http import item_schemas, schemas
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.http.test_schemas import REF, documented, validate

ITEM = "/index/items/{id}"


def check(client: httpx.Client, response: httpx.Response, status: int, route: str, method: str = "get") -> None:
    assert response.status_code == status, response.text
    schema = documented(client, response, route, method)
    model = schemas.Problem if schema["title"] == "Problem" else getattr(item_schemas, schema["title"])
    own = model.model_json_schema(ref_template=REF + "{model}", mode="serialization")
    own.pop("$defs", None)
    assert schema == jsonable_encoder(own, exclude_none=True)
    validate(model, response.content)


def test_answers(door: httpx.Client, digits: Digits) -> None:
    picture = encoded(digits[0][0])
    check(door, door.put("/index/items/f/g?label=x", content=picture), 201, ITEM, "put")
    check(door, door.put("/index/items/f/g?label=x", content=picture), 200, ITEM, "put")
    check(door, door.get("/index/items/f/g"), 200, ITEM)
    check(door, door.get("/index/items/b"), 200, ITEM)
    check(door, door.patch("/index/items/b", json={"label": None}), 200, ITEM, "patch")
    check(door, door.get("/index/items?limit=2"), 200, "/index/items")
    check(door, door.get("/index"), 200, "/index")
    check(door, door.get("/index/next"), 200, "/index/next")
    check(door, door.get("/index/embeddings"), 200, "/index/embeddings")
    for accept in ("application/x-npy", "application/x-npz"):
        response = door.get("/index/embeddings", headers={"Accept": accept})
        assert documented(door, response, "/index/embeddings", "get")["format"] == "binary"
    assert documented(door, door.get("/index/labels.csv"), "/index/labels.csv", "get") == {"type": "string"}


def test_failures(door: httpx.Client, digits: Digits) -> None:
    picture = encoded(digits[0][0])
    check(door, door.put("/index/items/b", content=picture), 409, ITEM, "put")
    check(door, door.put("/index/items/f?label=", content=picture), 400, ITEM, "put")
    check(door, door.put("/index/items/f", content=b"text"), 415, ITEM, "put")
    check(door, door.put("/index/items/f", content=picture[:60]), 422, ITEM, "put")
    check(door, door.put("/index/items/f", content=b"x" * 10**6), 413, ITEM, "put")
    for method in ("get", "patch", "delete"):
        body = {"json": {"label": "x"}} if method == "patch" else {}
        check(door, door.request(method, "/index/items/f", **body), 404, ITEM, method)  # type: ignore[arg-type]
        check(door, door.request(method, "/index/items/f//g", **body), 400, ITEM, method)  # type: ignore[arg-type]
    check(door, door.delete("/index/items/b"), 409, ITEM, "delete")
    for kind in ("images", "thumbnails"):
        check(door, door.get(f"/index/{kind}/f"), 404, f"/index/{kind}/{{id}}")
        check(door, door.get(f"/index/{kind}/"), 400, f"/index/{kind}/{{id}}")
    check(door, door.get("/index/items?limit=0"), 400, "/index/items")
    check(door, door.get("/index/next?n=0"), 400, "/index/next")


def test_the_document_says_what_the_routes_take(client: TestClient) -> None:
    paths: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    operations = paths[ITEM]
    assert set(operations) == {"put", "get", "patch", "delete"}
    assert set(operations["put"]["requestBody"]["content"]) == {
        "multipart/form-data", "image/*", "application/octet-stream",
    }  # fmt: skip
    for operation in operations.values():
        assert "id" in [one["name"] for one in operation["parameters"]]
    assert {"200", "201", "400", "403", "409", "413", "415", "422", "503", "507"} <= set(operations["put"]["responses"])
    assert set(operations["delete"]["responses"]) >= {"204", "400", "403", "404", "409", "503"}
    assert "200" not in operations["delete"]["responses"]


@pytest.mark.parametrize("route", ["/search", "/search/vector", "/index/items"])
def test_filters_are_documented(client: TestClient, route: str) -> None:
    operation = next(iter(client.get("/openapi.json").json()["paths"][route].values()))
    assert {"label", "source"} <= {one["name"] for one in operation["parameters"]}
