from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from models.manifest import INDEX, MODEL, BundleError, InputSpec, Manifest
from serving.model import load_model
from tests.training.networks import SHAPE, small_classifier
from training import card, export, graphs
from training.__main__ import describe, write_index
from training.data.dataset import Dataset, forget_labels
from training.evaluate import accuracy, share
from training.experiments.article import article_classifier
from training.loop import seeded_generator
from training.networks import NoveltyHead, ServedModel
from training.settings import TrainingSettings
from training.stages.novelty import NoveltySettings, fit_novelty


@pytest.fixture(scope="module")
def served() -> ServedModel:
    """Untrained, but with the batch statistics of nowhere in particular: nothing is at its default."""
    seeded_generator(0, torch.device("cpu"))
    classifier = small_classifier()
    for module in classifier.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return ServedModel(classifier, NoveltyHead(288, 64, torch.Generator().manual_seed(0))).eval()


@pytest.fixture(scope="module")
def graph(served: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / MODEL
    export.write_onnx(served, path, SHAPE)
    return path


@pytest.mark.parametrize("n", [1, 2, 3, 64])
def test_the_graph_answers_as_torch_does_at_every_batch_size(
    served: ServedModel, graph: Path, sample: Dataset, n: int
) -> None:
    assert export.parity(served, graph, sample.images[:n].numpy()) <= 1e-4


def test_blank_and_full_images_too(served: ServedModel, graph: Path) -> None:
    images = np.stack([np.zeros((1, 28, 28), np.uint8), np.full((1, 28, 28), 255, np.uint8)])
    assert export.parity(served, graph, images) <= 1e-4
    assert np.isfinite(export.run_onnx(graph, images).embedding).all()


def test_another_backbone_is_exported_too(sample: Dataset, tmp_path: Path) -> None:
    """The article's: all that export and novelty head need are its maps and its features."""
    classifier = article_classifier(10)
    settings = NoveltySettings(steps=20, batch_size=64, drawn=10, images=100)
    head, _ = fit_novelty(classifier, sample.images[:120], settings, seed=0)
    served = ServedModel(classifier, head).eval()
    export.write_onnx(served, tmp_path / MODEL, SHAPE)
    assert export.parity(served, tmp_path / MODEL, sample.images[:64].numpy()) <= 1e-4
    answers = export.run_onnx(tmp_path / MODEL, sample.images[:64].numpy())
    assert answers.embedding.shape == (64, 32)
    assert answers.novelty.std() > 0


def test_another_network_does_not_pass_the_parity_check(served: ServedModel, graph: Path, sample: Dataset) -> None:
    other = small_classifier()
    with pytest.raises(BundleError, match="differs from the trained network"):
        export.parity(ServedModel(other, served.novelty).eval(), graph, sample.images[:8].numpy())


def test_the_file_is_one_carries_no_paths_and_is_reproducible(served: ServedModel, graph: Path, tmp_path: Path) -> None:
    assert [path.name for path in graph.parent.iterdir()] == [MODEL]
    content = graph.read_bytes()
    for word in (b"site-packages", b"training/networks.py", b"pkg.torch"):
        assert word not in content
    assert {one.domain: one.version for one in onnx.load(graph).opset_import} == {"": graphs.OPSET}
    export.write_onnx(served, tmp_path / MODEL, SHAPE)
    assert (tmp_path / MODEL).read_bytes() == content


def test_a_bundle_that_was_just_written_is_served(served: ServedModel, sample: Dataset, tmp_path: Path) -> None:
    data = forget_labels(sample, keep=100)
    settings = TrainingSettings(name="toy", output=tmp_path)
    export.retract_manifest(tmp_path)
    export.write_onnx(served, tmp_path / MODEL, SHAPE)
    answers = export.run_onnx(tmp_path / MODEL, data.images.numpy())
    write_index(tmp_path / INDEX, data, answers)
    with pytest.raises(BundleError, match=r"manifest.json"):
        load_model(tmp_path, "cpu", 1)
    score = accuracy(answers.predicted, sample.labels.numpy())
    threshold = float(np.median(answers.novelty))
    metrics = {"test_accuracy": score, "test_refused": share(answers.novelty > threshold)}
    described = describe(settings, data, served, metrics, threshold, torch.device("cpu"), "abc")
    manifest = export.write_manifest(tmp_path, described)
    assert Manifest.load(tmp_path) == manifest
    assert manifest.metrics == metrics
    assert manifest.training["widths"] == [16, 16, 32]
    assert manifest.input == InputSpec("digit", height=28, width=28, channels=1)
    assert manifest.input.shape == SHAPE
    assert manifest.network["widths"] == [16, 16, 32]
    assert manifest.network["parameters"] == 45_210
    card.write(tmp_path, manifest, calibration=0.01, likelihood=0.1)
    assert "28×28" in (tmp_path / "README.md").read_text()
    assert manifest.novelty_threshold == threshold
    model = load_model(tmp_path, "cpu", 1)
    assert model.name == manifest.model
    predictions = model.run_batch(data.images[:20].numpy())
    for number, prediction in enumerate(predictions):
        np.testing.assert_allclose(prediction.probabilities, answers.probabilities[number], atol=1e-5)
        assert prediction.novelty == pytest.approx(answers.novelty[number], abs=1e-5)
        assert prediction.known == (prediction.novelty <= threshold)
    assert {prediction.known for prediction in predictions} == {True, False}
    with np.load(tmp_path / INDEX) as index:
        assert index["label_given"].sum() == 100
        np.testing.assert_array_equal(index["labels"][:100], sample.labels[:100].numpy())
        np.testing.assert_array_equal(index["labels"][100:], answers.predicted[100:])
        np.testing.assert_array_equal(index["thumbnails"], sample.images[:, 0].numpy())
        assert index["embeddings"].dtype == np.float16
    export.retract_manifest(tmp_path)
    with pytest.raises(BundleError, match=r"manifest.json"):
        load_model(tmp_path, "cpu", 1)
