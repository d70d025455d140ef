import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.manifest import BundleError, Manifest
from serving.index.memory import NeighborIndex
from serving.model import load_model
from serving.sessions import CPU, ProviderError, cuda_devices
from tests.conftest import BUNDLE, Digits


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(BUNDLE, tmp_path / "digits"))


def rewrite(bundle: Path, **changes: Any) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_committed_bundle_recognises_real_digits(digits: Digits) -> None:
    model = load_model(BUNDLE, "cpu", 1)
    predictions = model.run_batch(digits[0][:, None])
    right = [prediction.class_index == label for prediction, label in zip(predictions, digits[1], strict=True)]
    assert np.mean(right) >= 0.97
    assert np.mean([prediction.known for prediction in predictions]) >= 0.98
    norms = [np.linalg.norm(prediction.embedding) for prediction in predictions]
    np.testing.assert_allclose(norms, 1, atol=1e-5)
    assert predictions[0].embedding.shape == (model.dim,)
    assert model.name == f"digits@{Manifest.load(BUNDLE).files['model.onnx'][:12]}"


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000])
def test_a_batch_does_not_change_its_images_answers(digits: Digits, size: int) -> None:
    model = load_model(BUNDLE, "cpu", 1)
    together = model.run_batch(digits[0][:size, None])
    for number in {0, size // 2, size - 1}:
        (alone,) = model.run_batch(digits[0][number : number + 1, None])
        np.testing.assert_allclose(alone.probabilities, together[number].probabilities, atol=1e-5)
        np.testing.assert_allclose(alone.embedding, together[number].embedding, atol=1e-5)


@pytest.mark.parametrize("name", ["model.onnx", "index.npz"])
def test_an_altered_file_is_refused_and_named(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name}.*SHA-256"):
        load_model(bundle, "cpu", 1)


def test_a_missing_file_is_refused_and_named(bundle: Path) -> None:
    (bundle / "index.npz").unlink()
    with pytest.raises(BundleError, match=r"index.npz.*cannot be read"):
        load_model(bundle, "cpu", 1)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"files": 3}', "null"])
def test_a_damaged_manifest_is_refused(bundle: Path, content: str) -> None:
    (bundle / "manifest.json").write_text(content)
    with pytest.raises(BundleError, match="not a manifest"):
        load_model(bundle, "cpu", 1)


def test_a_manifest_that_lists_no_model_is_refused(bundle: Path) -> None:
    rewrite(bundle, files={})
    with pytest.raises(BundleError, match=r"lists no model.onnx"):
        load_model(bundle, "cpu", 1)


def test_a_manifest_without_a_threshold_is_refused(bundle: Path) -> None:
    fields = json.loads((bundle / "manifest.json").read_text())
    fields.pop("novelty_threshold", None)
    (bundle / "manifest.json").write_text(json.dumps(fields))
    with pytest.raises(BundleError, match=r"not a manifest .*novelty_threshold"):
        load_model(bundle, "cpu", 1)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), "much"])
def test_a_threshold_must_be_a_novelty(bundle: Path, threshold: Any) -> None:
    rewrite(bundle, novelty_threshold=threshold)
    with pytest.raises(BundleError, match="not a manifest"):
        load_model(bundle, "cpu", 1)


def test_the_threshold_divides_the_known_from_the_rest(bundle: Path, digits: Digits) -> None:
    images = digits[0][:100, None]
    novelty = sorted(one.novelty for one in load_model(bundle, "cpu", 1).run_batch(images))
    rewrite(bundle, novelty_threshold=float(novelty[49]))
    predictions = load_model(bundle, "cpu", 1).run_batch(images)
    assert sum(one.known for one in predictions) == 50
    assert all(one.known == (one.novelty <= novelty[49]) for one in predictions)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class_names": ["0", "1"]}, "2 class names need"),
        ({"inputs": [{"name": "image", "dtype": "float32", "shape": ["batch", 1, 28, 28]}]}, "takes"),
        ({"outputs": [{"name": "logits", "dtype": "float32", "shape": ["batch", 10]}]}, "gives"),
    ],
)
def test_a_manifest_that_disagrees_with_the_graph_is_refused(bundle: Path, changes: Any, words: str) -> None:
    rewrite(bundle, **changes)
    with pytest.raises(BundleError, match=words):
        load_model(bundle, "cpu", 1)


def test_a_graph_that_onnxruntime_cannot_read_is_refused(bundle: Path) -> None:
    from models.manifest import sha256

    (bundle / "model.onnx").write_bytes(b"no graph")
    files = {name: sha256(bundle / name) for name in ("model.onnx", "index.npz")}
    rewrite(bundle, files=files)
    with pytest.raises(BundleError, match="onnxruntime cannot run it"):
        load_model(bundle, "cpu", 1)


def test_an_index_of_another_model_is_refused() -> None:
    with pytest.raises(BundleError, match="the model gives 3"):
        NeighborIndex.load(BUNDLE / "index.npz", 3, list("0123456789"))


def test_the_provider_is_the_one_that_really_runs() -> None:
    """Without a GPU `auto` is the CPU and `cuda` an error; with one, tests/gpu looks closer."""
    if cuda_devices():
        assert load_model(BUNDLE, "cpu", 1).provider == CPU
        return
    assert load_model(BUNDLE, "auto", 1).provider == CPU
    with pytest.raises(ProviderError, match="--provider auto falls back"):
        load_model(BUNDLE, "cuda", 1)


@pytest.mark.skipif(bool(cuda_devices()), reason="there is a GPU that onnxruntime may well use")
def test_a_gpu_that_onnxruntime_cannot_use_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver without CUDA's libraries, say: onnxruntime itself falls back to the CPU in silence."""
    monkeypatch.setattr("serving.sessions.cuda_devices", lambda: 1)
    assert load_model(BUNDLE, "auto", 1).provider == CPU
    with pytest.raises(ProviderError, match="CUDA does not work here"):
        load_model(BUNDLE, "cuda", 1)
