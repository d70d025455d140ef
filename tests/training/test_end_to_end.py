"""Images in, service out: the command line trains, exports, and what it wrote is served."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.conftest import BUNDLE, ROOT, Digits
from tests.pictures.uploads import encoded
from tests.servers import running_service
from training.data import mnist
from training.evaluate import accuracy
from training.export import run_onnx

REPORT = {"views.png", "curves.png", "confusion.png", "embeddings.png", "mistakes.png"}


def train(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "training", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_train_export_serve_upload_right_digit(tmp_path: Path, digits: Digits) -> None:
    small = ["--images", "8000", "--pretrain.epochs", "1", "--finetune.epochs", "5", "--index-size", "500"]
    result = train("--output", str(tmp_path), "--name", "small", *small)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["labels"] == 200
    assert summary["test_accuracy"]["n"] == 10_000
    assert summary["test_accuracy"]["value"] > 0.85
    assert summary["parity"] <= 1e-4
    assert summary["test_refused"] <= 0.03
    assert {path.name for path in (tmp_path / "report").iterdir()} == REPORT
    assert summary["model"] in (tmp_path / "README.md").read_text()
    for stage in ("pretrain", "finetune"):
        assert f"{stage:<10}: 100%" in result.stderr
    with running_service("--model-dir", str(tmp_path)) as service:
        answers = [httpx.post(f"{service.url}/predict", content=encoded(image)).json() for image in digits[0][:200]]
    assert {answer["model"] for answer in answers} == {summary["model"]}
    right = [answer["digit"] == label for answer, label in zip(answers, digits[1], strict=False)]
    assert np.mean(right) > 0.8
    assert np.mean([answer["known"] for answer in answers]) > 0.9


def test_mistakes_are_one_clear_message() -> None:
    result = train("--images", "100", "--labels", "200")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "error: --labels 200: there are 100 images"
    assert result.stdout == ""


def test_the_committed_bundle_has_the_accuracy_that_its_manifest_claims() -> None:
    """All 10,000 test images."""
    _, test = mnist.load(ROOT / "data")
    manifest = json.loads((BUNDLE / "manifest.json").read_text())
    answers = run_onnx(BUNDLE / "model.onnx", test.images.numpy())
    measured = accuracy(answers.predicted, test.labels.numpy())
    assert measured.n == 10_000
    assert measured.value >= 0.97
    assert measured.value == pytest.approx(manifest["metrics"]["test_accuracy"]["value"], abs=3e-4)
    assert {path.name for path in (BUNDLE / "report").iterdir()} == REPORT


def test_the_whole_test_set_posted_as_png_gets_the_offline_answers() -> None:
    """Accuracy through the service equals the offline figure, to the image."""
    _, test = mnist.load(ROOT / "data")
    images = test.images[:, 0].numpy()
    offline = run_onnx(BUNDLE / "model.onnx", test.images.numpy())
    with running_service() as service, httpx.Client(base_url=service.url) as client, ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda image: client.post("/predict", content=encoded(image)).json()["digit"], images)
        served = np.array(list(answers))
    np.testing.assert_array_equal(served, offline.predicted)


def test_digits_of_another_collection_are_read() -> None:
    """scikit-learn's 1,797 digits of 8×8 pixels, posted as PNG: other people, another scanner, never trained on."""
    small = load_digits()
    images = (small.images * (255 / 16)).astype(np.uint8)
    with running_service() as service, httpx.Client(base_url=service.url) as client:
        served = [client.post("/predict", content=encoded(image)).json()["digit"] for image in images]
    assert np.mean(np.array(served) == small.target) >= 0.9


def test_the_committed_sample_is_the_test_sets_own(digits: Digits) -> None:
    _, test = mnist.load(ROOT / "data")
    np.testing.assert_array_equal(digits[0], test.images[:1000, 0].numpy())
    np.testing.assert_array_equal(digits[1], test.labels[:1000].numpy())
