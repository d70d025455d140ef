"""The API on a fake model: every route and every error status."""

import json
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from serving import decoder, errors
from serving.app import create_app
from serving.images import to_digit
from serving.index import NeighborIndex
from serving.settings import Settings
from tests.serving.fakes import FakeModel, expected_digit, fake_index
from tests.serving.uploads import encoded, enlarged, png_header

Digits = tuple[NDArray[np.uint8], NDArray[np.uint8]]
LIMIT = 200_000


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def client(model: FakeModel) -> Iterator[TestClient]:
    settings = Settings(max_upload_bytes=LIMIT, request_timeout_s=0.5, max_batch_size=4, max_queue_size=4)
    with TestClient(create_app(settings, model, fake_index()), raise_server_exceptions=False) as client:
        yield client


def assert_problem(response: httpx.Response, status: int, *words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    assert document["title"]
    for word in words:
        assert word in document["detail"]


def test_predict_raw_and_multipart_agree(client: TestClient, digits: Digits) -> None:
    for image in digits[0][:20]:
        body = encoded(image)
        raw = client.post("/predict", content=body, headers={"Content-Type": "image/png"}).json()
        assert raw == client.post("/predict", files={"file": ("digit.png", body)}).json()
        assert raw["digit"] == expected_digit(image)
        assert raw["confidence"] == raw["probabilities"][raw["digit"]] == pytest.approx(0.91)
        assert raw["model"] == FakeModel.name
        assert "embedding" not in raw


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""])
def test_the_body_tells_its_kind_whatever_the_header_says(client: TestClient, digits: Digits, kind: str) -> None:
    response = client.post("/predict", content=encoded(digits[0][0]), headers={"Content-Type": kind})
    assert response.json()["digit"] == expected_digit(digits[0][0])


def test_multipart_is_understood_without_its_header(client: TestClient, digits: Digits) -> None:
    body = client.build_request("POST", "/predict", files={"file": encoded(digits[0][0])}).read()
    response = client.post("/predict", content=body, headers={"Content-Type": "application/octet-stream"})
    assert response.json()["digit"] == expected_digit(digits[0][0])


def test_predict_adds_the_embedding_when_asked(client: TestClient, digits: Digits) -> None:
    answer = client.post("/predict?embedding=true", content=encoded(digits[0][0])).json()
    assert answer["embedding"] == pytest.approx([0.6, 0.8, 0, 0])


def test_embed_as_json_and_as_bytes(client: TestClient, digits: Digits) -> None:
    body = encoded(digits[0][0])
    answer = client.post("/embed", content=body).json()
    assert answer == {"embedding": pytest.approx([0.6, 0.8, 0, 0]), "dim": 4, "model": FakeModel.name}
    octets = client.post("/embed", content=body, headers={"Accept": "application/octet-stream"})
    assert octets.headers["content-type"] == "application/octet-stream"
    assert struct.unpack("<4f", octets.content) == pytest.approx([0.6, 0.8, 0, 0])


def test_search_by_image_and_by_vector(client: TestClient, digits: Digits) -> None:
    by_image = client.post("/search?k=2", content=encoded(digits[0][0])).json()
    assert by_image == {
        "neighbors": [
            {"id": "b", "label": 1, "label_source": "predicted", "score": pytest.approx(0.8)},
            {"id": "a", "label": 0, "label_source": "given", "score": pytest.approx(0.6)},
        ],
        "model": FakeModel.name,
    }
    by_vector = client.post("/search/vector?k=2", json={"embedding": [60, 80, 0, 0]}).json()
    assert by_vector == by_image
    huge = client.post("/search/vector", json={"embedding": [1e308] * 4}).json()
    assert huge["neighbors"][0]["score"] == pytest.approx(0.5)
    assert len(client.post("/search?k=100", content=encoded(digits[0][0])).json()["neighbors"]) == 4


@pytest.mark.parametrize("embedding", [[1, 2], [0, 0, 0, 0], [], ["a", 1, 1, 1], "text", None, [True, {}, 1, 1]])
def test_vectors_that_make_no_sense(client: TestClient, embedding: object) -> None:
    assert_problem(client.post("/search/vector", json={"embedding": embedding}), 400)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"embedding": [NaN, 1, 1, 1]}', b'{"embedding": [1e999,1,1,1]}'])
def test_vector_bodies_that_make_no_sense(client: TestClient, body: bytes) -> None:
    assert_problem(client.post("/search/vector", content=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize("query", ["k=0", "k=-1", "k=101", "k=x", "k="])
def test_numbers_of_neighbours_that_make_no_sense(client: TestClient, digits: Digits, query: str) -> None:
    assert_problem(client.post(f"/search?{query}", content=encoded(digits[0][0])), 400, "k")


def test_probes_and_headers(client: TestClient, digits: Digits) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    ready = {"status": "ready", "model": FakeModel.name, "provider": FakeModel.provider}
    assert client.get("/health/ready").json() == ready
    response = client.post("/predict", content=encoded(digits[0][0]), headers={"X-Request-ID": "mine-42"})
    assert response.headers["x-request-id"] == "mine-42"
    assert response.headers["server-timing"].startswith("queue;dur=")
    assert "inference;dur=" in response.headers["server-timing"]
    assert len(client.get("/health/live").headers["x-request-id"]) == 32
    assert client.get("/health/live", headers={"X-Request-ID": "x" * 200}).headers["x-request-id"] != "x" * 200


def test_metrics_count_requests_by_route_and_status_and_batches(client: TestClient, digits: Digits) -> None:
    for _ in range(3):
        client.post("/predict", content=encoded(digits[0][0]))
    client.post("/predict", content=b"no image")
    client.get("/somewhere/else")
    text = client.get("/metrics").text
    assert 'digits_requests_total{route="/predict",status="200"} 3.0' in text
    assert 'digits_requests_total{route="/predict",status="415"} 1.0' in text
    assert 'digits_requests_total{route="other",status="404"} 1.0' in text
    assert "digits_batch_size_sum 3.0" in text
    assert f'digits_model_info{{model="{FakeModel.name}",provider="FakeExecutionProvider"}} 1.0' in text


def test_the_documentation_needs_no_internet(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "://" not in page.replace("http://www.w3.org", "")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        assert f"/docs/assets/{asset}" in page
        assert client.get(f"/docs/assets/{asset}").status_code == 200
    document: dict[str, Any] = client.get("/openapi.json").json()
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "image/*", "application/octet-stream"}
    assert {"400", "413", "415", "422", "503", "504"} <= set(document["paths"]["/predict"]["post"]["responses"])


def test_400_for_bodies_that_make_no_sense(client: TestClient, digits: Digits) -> None:
    body = encoded(digits[0][0])
    assert_problem(client.post("/predict"), 400, "empty")
    assert_problem(client.post("/predict", files={"image": body}), 400, "'file'", "'image'")
    assert_problem(client.post("/predict", files={"file": b""}), 400, "empty")
    assert_problem(client.post("/predict", data={"file": "text"}, files={"other": b"1"}), 400, "'file'")
    for damaged in (
        b"--",
        b"--x",
        b"--x\r\n",
        b"--x\r\n\r\n",
        b"--\r\n\r\nfoo",
        b'--\xff"\r\n--\xff"--\r\n',
        b"--" + b";" * 190_000,
    ):
        assert_problem(client.post("/predict", content=damaged), 400)
    assert_problem(client.post("/predict?embedding=perhaps", content=body), 400, "embedding")


def test_404_and_405_are_problems_too(client: TestClient) -> None:
    assert_problem(client.get("/nowhere"), 404)
    assert_problem(client.get("/predict"), 405)


def test_413_for_bytes_declared_bytes_sent_and_pixels(client: TestClient, model: FakeModel) -> None:
    assert_problem(client.post("/predict", content=b"x" * (LIMIT + 1)), 413, "200,000 bytes")

    def undeclared() -> Iterator[bytes]:
        for _ in range(LIMIT // 1000 + 1):
            yield b"x" * 1000

    assert_problem(client.post("/predict", content=undeclared()), 413, "200,000 bytes")
    assert_problem(client.post("/predict", content=png_header(30_000, 30_000)), 413, "30000 x 30000")
    assert not model.batches


def test_415_for_what_is_no_image(client: TestClient) -> None:
    assert_problem(client.post("/predict", files={"file": ("digit.png", b"only text", "image/png")}), 415, "PNG")


def test_422_for_a_damaged_image(client: TestClient, digits: Digits, model: FakeModel) -> None:
    content = encoded(enlarged(digits[0][0]))
    assert_problem(client.post("/predict", content=content[: len(content) // 2]), 422, "PNG")
    assert_problem(client.post("/predict", content=content[:33]), 422, "header")
    assert not model.batches


def test_500_when_the_model_fails(client: TestClient, digits: Digits, model: FakeModel) -> None:
    model.error = RuntimeError("cosmic ray")
    assert_problem(client.post("/predict", content=encoded(digits[0][0])), 500, "cosmic ray")


def test_500_for_a_bug_of_ours_is_counted_and_carries_its_id(
    client: TestClient, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(NeighborIndex, "search", bug)
    response = client.post("/search", content=encoded(digits[0][0]), headers={"X-Request-ID": "mine"})
    assert_problem(response, 500, "log")
    assert response.headers["x-request-id"] == "mine"
    assert 'digits_requests_total{route="/search",status="500"} 1.0' in client.get("/metrics").text


def test_large_images_are_decoded_elsewhere_and_refused_when_too_many_wait(
    client: TestClient, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = encoded(enlarged(digits[0][0], 20))
    assert client.post("/predict", content=body).status_code == 200
    released = threading.Event()

    def held(image: Image.Image) -> NDArray[np.uint8]:
        released.wait(timeout=30)
        return to_digit(image)

    monkeypatch.setattr(decoder, "to_digit", held)
    with ThreadPoolExecutor(40) as pool:
        responses = list(pool.map(lambda _: client.post("/predict", content=body), range(40)))
    released.set()
    assert {response.status_code for response in responses} == {503, 504}
    deadline = time.monotonic() + 5
    while client.post("/predict", content=body).status_code != 200:
        assert time.monotonic() < deadline


def test_413_for_a_vector_query_without_end(client: TestClient) -> None:
    body = b'{"embedding": [' + b"1," * 200_000 + b"1]}"
    assert_problem(client.post("/search/vector", content=body), 413)


def test_503_when_too_many_wait_and_504_when_the_answer_takes_too_long(
    client: TestClient, digits: Digits, model: FakeModel
) -> None:
    model.released.clear()
    with ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(lambda image: client.post("/predict", content=encoded(image)), digits[0][:20]))
    model.released.set()
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {503, 504}, statuses
    for response in responses:
        assert_problem(response, response.status_code)
        assert ("retry-after" in response.headers) == (response.status_code == 503)
    deadline = time.monotonic() + 5
    while client.post("/predict", content=encoded(digits[0][0])).status_code != 200:
        assert time.monotonic() < deadline


def test_every_error_has_a_status_and_every_status_is_drawn() -> None:
    assert set(errors.STATUS) == set(errors.ServiceError.__subclasses__())
    for kind, status in errors.STATUS.items():
        assert any(kind.__name__ in line and str(status) in line for line in (errors.__doc__ or "").splitlines())


def test_answers_are_plain_json(client: TestClient, digits: Digits) -> None:
    answer = json.loads(client.post("/predict", content=encoded(digits[0][0])).content)
    assert isinstance(answer["digit"], int)
    assert len(answer["probabilities"]) == 10
