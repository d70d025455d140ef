"""The API on models of any bundle: colour, class names of any kind, and none at all; at both doors."""

import base64
import io
import logging

import httpx2 as httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.manifest import InputSpec
from serving.index.memory import NeighborIndex
from tests.pictures.uploads import encoded
from tests.serving.fakes import FakeModel, expected_digit, fake_index
from tests.serving.http.test_schemas import check
from tests.serving.problems import assert_problem

COLOUR = InputSpec("crop", 8, 8, 3)
NAMES = ("Äpfel & Öl", 'quo"te\\', "two\nlines\r\nX-Evil: 1", "猫🍎", "</script>", "")
UNNAMED = ("unnamed",)


@pytest.fixture
def names() -> tuple[str, ...]:
    return NAMES


@pytest.fixture
def model(names: tuple[str, ...]) -> FakeModel:
    return FakeModel(names, COLOUR)


@pytest.fixture
def index(names: tuple[str, ...]) -> NeighborIndex:
    return fake_index([*names, None, None, None, None][:4])


def pictures(count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, *COLOUR.shape[1:], 3), dtype=np.uint8))


def files(count: int) -> list[tuple[str, bytes]]:
    return [("files", encoded(one)) for one in pictures(count)]


def test_names_come_as_they_are(door: httpx.Client) -> None:
    said = set()
    for picture in pictures(40):
        response = door.post("/predict", content=encoded(picture))
        answer = response.json()
        assert answer["label"] == NAMES[expected_digit(picture, len(NAMES))]
        assert answer["confidence"] == max(answer["probabilities"])
        assert set(answer) == {"label", "confidence", "known", "novelty", "probabilities", "model"}
        assert not any("evil" in name.lower() or "evil" in value.lower() for name, value in response.headers.items())
        said.add(answer["label"])
    assert said == set(NAMES)
    batch = door.post("/predict/batch", files=files(4)).json()["results"]
    assert [one["label"] for one in batch] == [NAMES[expected_digit(one, len(NAMES))] for one in pictures(4)]
    neighbors = door.post("/search", content=encoded(pictures(1)[0])).json()["neighbors"]
    assert [one["label"] for one in neighbors] == [NAMES[1], NAMES[0], *(NAMES[number] for number in (3, 2))]


def test_the_model_is_described(door: httpx.Client, names: tuple[str, ...]) -> None:
    assert door.get("/model").json() == {
        "model": FakeModel.name,
        "created": "2026-11-30T12:00:00+00:00",
        "knowledge": "none",
        "classes": list(names),
        "input": {"kind": "crop", "height": 8, "width": 8, "channels": 3},
        "dim": 4,
        "novelty_threshold": 0.45,
        "metrics": {"test_accuracy": {"value": 0.75, "low": 0.5, "high": 0.9, "n": 20}},
        "protocol": "Nothing was measured.",
    }


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_colours_are_seen_as_they_were_sent(door: httpx.Client, kind: str) -> None:
    """A clean PNG is decoded where it arrives, a BMP in a process."""
    picture = pictures(1)[0]
    answer = door.post("/predict?debug=true", content=encoded(picture, kind)).json()
    seen = Image.open(io.BytesIO(base64.b64decode(answer["seen"].partition(",")[2])))
    assert seen.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(seen), picture)
    assert answer["label"] == NAMES[expected_digit(picture, len(NAMES))]


@pytest.mark.parametrize("names", [()], ids=UNNAMED)
def test_without_classes_only_what_needs_none_is_answered(
    door: httpx.Client, model: FakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "serving")
    body = encoded(pictures(1)[0])
    for url in ("/predict", "/predict?embedding=true", "/predict?debug=true"):
        for content in (body, b"", b"no image", body * 100):
            assert_problem(door.post(url, content=content), 409, FakeModel.name, "/embed", "/search", "Label")
    assert_problem(door.post("/predict/batch", files=files(3)), 409, "/embed")
    assert not model.batches
    assert len([line for line in caplog.messages if line.startswith("409 fake@")]) == 13
    assert door.post("/embed", content=body).json()["embedding"] == pytest.approx([0.6, 0.8, 0, 0])
    assert len(door.post("/embed/batch", files=files(3)).json()["results"]) == 3
    check(door, door.post("/predict", content=body), 409, "/predict")
    response = door.post("/search", content=body)
    check(door, response, 200, "/search")
    neighbors = response.json()["neighbors"]
    assert [one["id"] for one in neighbors[:2]] == ["b", "a"]
    assert all(one["label"] is one["label_source"] is None for one in neighbors)
    assert door.get("/health/ready").status_code == 200
    assert door.get("/model").json()["classes"] == []


def test_openapi_tells_of_409(door: httpx.Client) -> None:
    paths = door.get("/openapi.json").json()["paths"]
    for path in ("/predict", "/predict/batch"):
        assert paths[path]["post"]["responses"]["409"]["description"] == "The model names no classes"
