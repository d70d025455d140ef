"""The API on a fake model: every route."""

import base64
import io
import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.conftest import Digits
from tests.pictures.uploads import encoded, enlarged
from tests.serving.fakes import FakeModel, expected_digit


def test_predict_raw_and_multipart_agree(client: TestClient, digits: Digits) -> None:
    for image in digits[0][:20]:
        body = encoded(image)
        raw = client.post("/predict", content=body, headers={"Content-Type": "image/png"}).json()
        assert raw == client.post("/predict", files={"file": ("digit.png", body)}).json()
        assert raw["digit"] == expected_digit(image)
        assert raw["label"] == str(raw["digit"])
        assert raw["confidence"] == raw["probabilities"][raw["digit"]] == pytest.approx(0.91)
        assert (raw["known"], raw["novelty"]) == (raw["digit"] < 5, pytest.approx(0.1 * raw["digit"]))
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
    assert answer["known"] == (answer["digit"] < 5)


def test_predict_says_when_there_are_several_digits(client: TestClient, digits: Digits) -> None:
    one, two = (encoded(np.concatenate([digits[0][0]] * count, axis=1).repeat(8, 0).repeat(8, 1)) for count in (1, 2))
    answers = [client.post("/predict", content=content).json() for content in (encoded(digits[0][0]), one, two)]
    assert [answer["several"] for answer in answers] == [False, False, True]
    files = [("files", (f"{number}.png", content)) for number, content in enumerate((one, two, two, one))]
    results = client.post("/predict/batch", files=files).json()["results"]
    assert [result["several"] for result in results] == [False, True, True, False]


def test_predict_shows_what_the_model_saw_when_asked(client: TestClient, digits: Digits) -> None:
    image = digits[0][0]
    for url in ("/predict?debug=true", "/predict?debug=true&embedding=true"):
        answer = client.post(url, content=encoded(image)).json()
        kind, _, data = answer["seen"].partition(",")
        assert kind == "data:image/png;base64"
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), image)
        assert answer["digit"] == expected_digit(image)
    assert "seen" not in client.post("/predict", content=encoded(image)).json()


def test_what_only_digits_have_is_left_out_for_others(client: TestClient, digits: Digits, model: FakeModel) -> None:
    body = encoded(digits[0][0])
    digit = client.post("/predict", content=body).json()
    model.input = replace(model.input, kind="picture")
    model.class_names = tuple("abcdefghij")
    other = client.post("/predict", content=body).json()
    assert set(digit) - set(other) == {"digit", "several"}
    assert other["label"] == "abcdefghij"[digit["digit"]]
    (batched,) = client.post("/predict/batch", files=[("files", body)]).json()["results"]
    assert batched == {name: value for name, value in other.items() if name != "model"}


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
            {"id": "b", "label": "1", "label_source": "predicted", "source": "bundle", "score": pytest.approx(0.8)},
            {"id": "a", "label": "0", "label_source": "given", "source": "bundle", "score": pytest.approx(0.6)},
        ],
        "model": FakeModel.name,
    }
    by_vector = client.post("/search/vector?k=2", json={"embedding": [60, 80, 0, 0]}).json()
    assert by_vector == by_image
    huge = client.post("/search/vector", json={"embedding": [1e308] * 4}).json()
    assert huge["neighbors"][0]["score"] == pytest.approx(0.5)
    assert len(client.post("/search?k=100", content=encoded(digits[0][0])).json()["neighbors"]) == 4


@pytest.mark.parametrize("count", [1, 4, 5, 30])
def test_many_images_are_answered_in_order_and_bad_ones_in_their_place(
    client: TestClient, digits: Digits, model: FakeModel, count: int
) -> None:
    images = digits[0][:count]
    files = [("files", (f"{number}.png", encoded(image))) for number, image in enumerate(images)]
    files[count // 2 : count // 2] = [("files", ("bad.png", b"no image"))]
    predicted, embedded = (client.post(f"{route}/batch", files=files).json() for route in ("/predict", "/embed"))
    assert predicted["model"] == embedded["model"] == FakeModel.name
    errors = [answer["results"].pop(count // 2)["error"] for answer in (predicted, embedded)]
    assert [(error["status"], error["title"]) for error in errors] == 2 * [
        (415, "The bytes are no image of a known kind")
    ]
    assert [one["digit"] for one in predicted["results"]] == [expected_digit(image) for image in images]
    assert all(one["confidence"] == one["probabilities"][one["digit"]] for one in predicted["results"])
    assert [one["known"] for one in predicted["results"]] == [one["digit"] < 5 for one in predicted["results"]]
    assert all(one["novelty"] == pytest.approx(0.1 * one["digit"]) for one in predicted["results"])
    assert embedded["results"] == count * [{"embedding": pytest.approx([0.6, 0.8, 0, 0])}]
    assert embedded["dim"] == 4
    assert max(model.batches) <= 4


def test_many_images_of_every_kind(client: TestClient, digits: Digits) -> None:
    """Clean ones and ones that take a thread, mixed."""
    image, single = digits[0][0], []
    kinds = [encoded(image), encoded(enlarged(image), "JPEG"), encoded(image, "BMP"), b"", encoded(image)[:60]]
    for body in kinds:
        answer = client.post("/predict", files={"file": body}).json()
        single.append(answer.get("digit", answer.get("status")))
    results = client.post("/predict/batch", files=[("files", body) for body in kinds]).json()["results"]
    assert [one["digit"] if "digit" in one else one["error"]["status"] for one in results[:3]] == single[:3]
    assert [one["error"]["status"] for one in results[3:]] == [415, 422]


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
    assert 'fewlabel_requests_total{route="/predict",status="200"} 3.0' in text
    assert 'fewlabel_requests_total{route="/predict",status="415"} 1.0' in text
    assert 'fewlabel_requests_total{route="other",status="404"} 1.0' in text
    assert "fewlabel_batch_size_sum 3.0" in text
    assert f'fewlabel_model_info{{model="{FakeModel.name}",provider="FakeExecutionProvider"}} 1.0' in text


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


def test_answers_are_plain_json(client: TestClient, digits: Digits) -> None:
    answer = json.loads(client.post("/predict", content=encoded(digits[0][0])).content)
    assert isinstance(answer["digit"], int)
    assert len(answer["probabilities"]) == 10
