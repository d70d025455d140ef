import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving.errors import StoreFailure
from serving.index.thumbnails import Thumbnails

IDS = ["a", "b/c", "ä"]


def thumbnails(path: Path, pictures: Any) -> Thumbnails:
    arrays: dict[str, Any] = {"ids": np.array(IDS), **({} if pictures is None else {"thumbnails": pictures})}
    np.savez(path, **arrays)
    return Thumbnails(path, hashlib.sha256(path.read_bytes()).hexdigest(), IDS)


@pytest.mark.parametrize("shape", [(3, 5, 7), (3, 5, 7, 3)])
def test_each_image_has_its_own(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = thumbnails(tmp_path / "index.npz", pictures)
    for own_id, picture in zip(IDS, pictures, strict=True):
        content = found.png(own_id)
        assert content
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), picture)
    assert found.png("other") is None


@pytest.mark.parametrize(
    "pictures",
    [
        None,
        np.zeros((2, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.float32),
        np.zeros((3, 4, 4, 4), np.uint8),
        np.zeros(3),
    ],
)
def test_what_cannot_be_shown_is_not_there(tmp_path: Path, pictures: object) -> None:
    assert thumbnails(tmp_path / "index.npz", pictures).png("a") is None


def test_a_file_that_was_replaced_or_lost_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "index.npz"
    found = thumbnails(path, np.zeros((3, 4, 4), np.uint8))
    path.write_bytes(b"another")
    with pytest.raises(StoreFailure, match="replaced"):
        found.png("a")
    path.unlink()
    with pytest.raises(StoreFailure, match="cannot be read"):
        found.png("a")
    assert Thumbnails(None, None, IDS).png("a") is None
