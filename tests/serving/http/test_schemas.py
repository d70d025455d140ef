"""Answers against the schemas that OpenAPI documents for their route, status and media type."""

import asyncio
import json
import struct
from functools import partial
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.encoders import jsonable_encoder
from fastapi.testclient import TestClient
from pydantic import BaseModel, ValidationError
from starlette.types import Message, Scope

from serving.app import create_app
from serving.http import schemas
from serving.settings import Settings
from tests.conftest import Digits
from tests.pictures.uploads import encoded, enlarged
from tests.serving.fakes import LIMIT, FakeModel, fake_index

REF = "#/components/schemas/"
IMAGE_ROUTES = ("/predict", "/embed", "/search")
BATCH_ROUTES = ("/predict/batch", "/embed/batch")
ROUTES = (*IMAGE_ROUTES, *BATCH_ROUTES, "/search/vector")


def ask(client: httpx.Client, url: str, digits: Digits) -> httpx.Response:
    """Posts what the route takes."""
    route, content = url.partition("?")[0], encoded(digits[0][0])
    if route in BATCH_ROUTES:
        return client.post(url, files=[("files", content)] * 3)
    if route in IMAGE_ROUTES:
        return client.post(url, content=content)
    return client.post(url, json={"embedding": [1, 2, 3, 4]})


def documented(client: httpx.Client, response: httpx.Response, route: str, method: str) -> dict[str, Any]:
    """The schema of such an answer in OpenAPI; a KeyError says what is not documented."""
    document = client.get("/openapi.json").json()
    media_type = response.headers["content-type"].partition(";")[0]
    content = document["paths"][route][method]["responses"][str(response.status_code)]["content"]
    schema: dict[str, Any] = content[media_type].get("schema", {})
    reference = schema.get("$ref", "").removeprefix(REF)
    return document["components"]["schemas"][reference] if reference else schema


def validate(model: type[BaseModel], content: bytes) -> None:
    """Raises ValidationError unless `content` is JSON with exactly the fields and types of `model`."""
    model.model_validate_json(content, strict=True, extra="forbid")


def check(client: httpx.Client, response: httpx.Response, status: int, route: str, method: str = "post") -> None:
    """The answer has this status and is what OpenAPI says of it, where the schema is that of one of our models."""
    assert response.status_code == status, f"{route}: {response.text}"
    schema = documented(client, response, route, method)
    model = getattr(schemas, schema["title"])
    own = model.model_json_schema(ref_template=REF + "{model}", mode="serialization")
    own.pop("$defs", None)
    assert schema == jsonable_encoder(own, exclude_none=True), "OpenAPI leaves out defaults of null"
    validate(model, response.content)


def test_answers(door: httpx.Client, digits: Digits) -> None:
    for url in (*ROUTES, "/predict?embedding=true", "/predict?debug=true", "/search?k=2"):
        check(door, ask(door, url, digits), 200, url.partition("?")[0])


def test_answers_with_errors_in_their_place(door: httpx.Client, digits: Digits) -> None:
    good = encoded(digits[0][0])
    for route in BATCH_ROUTES:
        response = door.post(route, files=[("files", content) for content in (good, b"text", good[:60], b"")])
        assert ["error" in one for one in response.json()["results"]] == [False, True, True, True]
        check(door, response, 200, route)


def test_octets(door: httpx.Client, digits: Digits) -> None:
    response = door.post("/embed", content=encoded(digits[0][0]), headers={"Accept": "application/octet-stream"})
    assert documented(door, response, "/embed", "post") == {"type": "string", "format": "binary"}
    assert len(struct.unpack("<4f", response.content)) == FakeModel.dim


def test_probes_and_metrics(door: httpx.Client) -> None:
    for route in ("/health/live", "/health/ready"):
        check(door, door.get(route), 200, route, "get")
    assert documented(door, door.get("/metrics"), "/metrics", "get") == {}


def test_the_model(door: httpx.Client) -> None:
    check(door, door.get("/model"), 200, "/model", "get")


def test_400_and_413(door: httpx.Client, digits: Digits) -> None:
    for route in ROUTES:
        check(door, door.post(route, content=b""), 400, route)
        check(door, door.post(route, content=b"x" * (LIMIT + 1)), 413, route)
    for url in ("/predict?embedding=perhaps", "/search?k=0", "/search/vector?k=0"):
        check(door, ask(door, url, digits), 400, url.partition("?")[0])


def test_415_and_422(door: httpx.Client, digits: Digits) -> None:
    damaged = encoded(enlarged(digits[0][0]))[:200]
    for route in IMAGE_ROUTES:
        check(door, door.post(route, content=b"text"), 415, route)
        check(door, door.post(route, content=damaged), 422, route)


@pytest.mark.parametrize("route", ROUTES)
def test_408(client: TestClient, route: str) -> None:
    """The body never arrives: said to the application itself, since the test client sends at once."""
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "http_version": "1.0", "method": "POST", "path": route, "headers": []}
    scope["query_string"], scope["state"] = b"", client.app_state.copy()
    assert client.portal is not None
    client.portal.call(partial(client.app, scope, receive, send))
    check(client, httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"]), 408, route)


def test_500(door: httpx.Client, digits: Digits, model: FakeModel) -> None:
    model.error = RuntimeError("cosmic ray")
    for route in (*IMAGE_ROUTES, *BATCH_ROUTES):
        check(door, ask(door, route, digits), 500, route)


@pytest.mark.parametrize("route", [*IMAGE_ROUTES, *BATCH_ROUTES])
def test_504(client: TestClient, digits: Digits, model: FakeModel, route: str) -> None:
    model.released.clear()
    response = ask(client, route, digits)
    model.released.set()
    check(client, response, 504, route)


def test_503(digits: Digits) -> None:
    """The service has stopped, but is still asked."""
    client = TestClient(create_app(Settings(), FakeModel(), fake_index()), base_url="http://localhost")
    with client:
        pass
    for route in ROUTES:
        check(client, ask(client, route, digits), 503, route)
    check(client, client.get("/health/ready"), 503, "/health/ready", "get")


def test_404_and_405(door: httpx.Client) -> None:
    for url, status in (("/nowhere", 404), ("/predict", 405)):
        response = door.get(url)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
        validate(schemas.Problem, response.content)


def test_a_field_more_or_less_or_of_another_type_is_noticed(client: TestClient, digits: Digits) -> None:
    answer = client.post("/predict/batch", files=[("files", encoded(digits[0][0]))]).json()
    one = answer["results"][0]
    validate(schemas.PredictedBatch, json.dumps(answer).encode())
    for other in ({**one, "more": 1}, {**one, "confidence": "0.5"}, {"digit": one["digit"]}):
        with pytest.raises(ValidationError):
            validate(schemas.PredictedBatch, json.dumps({**answer, "results": [other]}).encode())
