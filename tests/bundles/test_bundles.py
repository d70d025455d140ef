"""Bundles of a user's own pictures behind a real server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest

from models.manifest import MODEL, BundleError, InputSpec, sha256
from serving.model import load_model
from tests.bundles.building import COLOURS, IDS, NAMES, picture, write_bundle
from tests.pictures.uploads import encoded
from tests.servers import Service, running_service


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service("--model-dir", str(write_bundle(tmp_path_factory.mktemp("models") / "colours"))) as service:
        yield service


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = write_bundle(tmp_path_factory.mktemp("models") / "unlabelled", ())
    with running_service("--model-dir", str(folder)) as service:
        yield service


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("side", [8, 300])
def test_colours_are_told(colours: Service, kind: str, side: int) -> None:
    """At either door, decoded here or in a process."""
    for number, name in enumerate(NAMES):
        content = encoded(picture(COLOURS[number], side, side + 50 * (side > 8)), kind)
        answer = httpx.post(f"{colours.url}/predict", content=content).json()
        assert answer["label"] == name
        assert (answer["known"], answer["novelty"]) == (True, pytest.approx(1 - 230 / 255, abs=0.01))
    files = [("files", encoded(picture(colour, side, side), kind)) for colour in COLOURS[:3]]
    results = httpx.post(f"{colours.url}/predict/batch", files=files).json()["results"]
    assert [one["label"] for one in results] == list(NAMES)


def test_similar_pictures_are_named_as_their_files(colours: Service) -> None:
    found = httpx.post(f"{colours.url}/search", content=encoded(picture(COLOURS[3]))).json()["neighbors"]
    assert [(one["id"], one["label"], one["label_source"]) for one in found[:2]] == [
        (IDS[3], None, None),
        (IDS[2], NAMES[2], "predicted"),
    ]
    (found,) = httpx.post(f"{colours.url}/search?k=1", content=encoded(picture(COLOURS[0]))).json()["neighbors"]
    assert (found["id"], found["label"], found["label_source"]) == (IDS[0], NAMES[0], "given")


def test_the_manifest_is_told(colours: Service, unlabelled: Service) -> None:
    described = httpx.get(f"{colours.url}/model").json()
    assert described["classes"] == list(NAMES)
    assert described["input"] == {"kind": "crop", "height": 8, "width": 8, "channels": 3}
    assert (described["dim"], described["model"].partition("@")[0]) == (3, "colours")
    assert httpx.get(f"{unlabelled.url}/model").json()["classes"] == []


def test_without_classes_there_are_embeddings_and_neighbours(unlabelled: Service) -> None:
    small, large = encoded(picture(COLOURS[1])), encoded(picture(COLOURS[1], 300, 300), "BMP")
    for content in (small, large):
        answer = httpx.post(f"{unlabelled.url}/embed", content=content).json()
        assert answer["embedding"] == pytest.approx(COLOURS[1] / np.linalg.norm(COLOURS[1].astype(float)), abs=1e-3)
        neighbor = httpx.post(f"{unlabelled.url}/search", content=content).json()["neighbors"][0]
        assert (neighbor["id"], neighbor["label"], neighbor["label_source"]) == (IDS[1], None, None)
        refused = httpx.post(f"{unlabelled.url}/predict", content=content)
        assert refused.status_code == 409
        assert "/embed and /search" in refused.json()["detail"]
    assert httpx.get(f"{unlabelled.url}/health/ready").status_code == 200
    assert not [line for line in unlabelled.log if "Traceback" in line]
    assert [line for line in unlabelled.log if line.startswith("INFO:     409 unlabelled@")]


def test_an_encoders_input_passes_through(tmp_path: Path) -> None:
    """224 × 224 × 3: what no door decodes itself, and what is the longest reply of a decoder process."""
    folder = write_bundle(tmp_path / "large", NAMES, InputSpec("stretch", 224, 224, 3))
    with running_service("--model-dir", str(folder)) as service:
        for side in (10, 224, 1000):
            files = [("files", encoded(picture(colour, side, side))) for colour in COLOURS[:3]] * 8
            results = httpx.post(f"{service.url}/predict/batch", files=files).json()["results"]
            assert [one["label"] for one in results] == list(NAMES) * 8


@pytest.mark.parametrize(
    ("written", "claimed"), [(NAMES, ()), ((), NAMES), (NAMES, NAMES[:2])], ids=["none", "some", "fewer"]
)
def test_a_graph_of_other_classes_is_refused(tmp_path: Path, written: Any, claimed: Any) -> None:
    folder = write_bundle(tmp_path, written)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "class_names": claimed}))
    with pytest.raises(BundleError, match=f"{len(claimed)} class names need"):
        load_model(folder, "cpu", 1)


def test_a_graph_that_names_its_outputs_otherwise_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, ())
    manifest, graph = folder / "manifest.json", folder / MODEL
    graph.write_bytes(graph.read_bytes().replace(b"novelty", b"oddness"))
    text = manifest.read_text().replace("novelty", "oddness").replace("oddness_threshold", "novelty_threshold")
    fields = json.loads(text)
    manifest.write_text(json.dumps({**fields, "files": {**fields["files"], MODEL: sha256(graph)}}))
    with pytest.raises(BundleError, match="gives"):
        load_model(folder, "cpu", 1)
