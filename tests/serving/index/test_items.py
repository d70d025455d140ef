import numpy as np
import pytest

from serving.errors import MalformedRequest
from serving.index.items import MAX_METADATA, Label, check_id, check_label, check_metadata
from tests.serving.index.given import put


@pytest.mark.parametrize("own_id", ["a", "a b/Äpfel (1).jpg", "猫/🐈.png", "…", "a..b", 255 * "🐈", "%2e%2e", "a\\b"])
def test_ids_are_paths(own_id: str) -> None:
    check_id(own_id)


@pytest.mark.parametrize(
    "own_id", ["", 256 * "x", "a\nb", "\0", "\x7f", "\x85", "a\udcff", "/a", "a/", "a//b", ".", "..", "../a", "a/./b"]
)
def test_other_ids_are_refused(own_id: str) -> None:
    with pytest.raises(MalformedRequest, match="an id"):
        check_id(own_id)
    with pytest.raises(MalformedRequest):
        put(own_id.encode("utf-8", "replace").decode() if "\udcff" not in own_id else "")
    with pytest.raises(MalformedRequest):
        Label(id=own_id, label="x")


@pytest.mark.parametrize("label", ["0", "two\nlines", " ", 255 * "Ö", None])
def test_labels_are_texts(label: str | None) -> None:
    check_label(label)


@pytest.mark.parametrize("label", ["", 256 * "x", "a\0b", "\udcff"])
def test_other_labels_are_refused(label: str) -> None:
    with pytest.raises(MalformedRequest, match="a label"):
        check_label(label)


@pytest.mark.parametrize("metadata", ["{}", '{"a": [1, null, "\\u0000"]}', ' {"ä": "ö"}\n'])
def test_metadata_are_an_object(metadata: str) -> None:
    check_metadata(metadata)


@pytest.mark.parametrize(
    "metadata",
    ["", "[]", "null", "{", "\udcff", '{"a": "\udcff"}', "{}\0", "[" * 9000, '{"a":' * 3000, '"' + MAX_METADATA * "x"],
)
def test_other_metadata_are_refused(metadata: str) -> None:
    with pytest.raises(MalformedRequest, match="metadata"):
        check_metadata(metadata)


@pytest.mark.parametrize(
    "vector", [np.zeros((1, 3), np.float32), np.zeros(3), np.array([np.nan, 0], np.float32), np.ones(2, np.float16)]
)
def test_vectors_that_no_model_makes_are_a_bug(vector: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> None:
    with pytest.raises(ValueError, match="finite float32"):
        put("a", vector=vector)
