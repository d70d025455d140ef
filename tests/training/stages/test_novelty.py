"""The novelty head: what it is fitted to, that it finds what was planted, and the committed bundle's figures."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from models.manifest import MODEL, Manifest
from tests.conftest import BUNDLE, Digits
from tests.pictures.nondigits import KINDS, pictures
from tests.training.networks import small_classifier
from training.data.dataset import Dataset
from training.drawings import LETTERS, characters, draw_many, formed, lines, scribble, shape
from training.export import run_onnx
from training.loop import seeded_generator
from training.networks import Classifier, NoveltyHead
from training.outliers import blanks, blobs, digit_kinds, jigsaws, noise, outlier_kinds, stripes
from training.stages.novelty import NoveltySettings, feature_maps, fit_novelty
from training.views.digits import ViewSettings

QUICK = NoveltySettings(steps=300, batch_size=256, drawn=300, images=600)
TOLD = {"scribbles, one wandering line": 0.75, "signs": 0.75}
"""Where the committed bundle tells fewer than the 0.9 that are wanted (training/README.md has the figures). Some lines
are a 2, a 3 or a 7 to a person too."""


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """Untrained: even random maps tell drawings apart."""
    seeded_generator(0, torch.device("cpu"))
    return small_classifier().eval()


@pytest.fixture(scope="module")
def fitted(classifier: Classifier, sample: Dataset) -> tuple[NoveltyHead, float]:
    return fit_novelty(classifier, sample.images[:900], QUICK, seed=0)


@torch.no_grad()
def novelty_of(head: NoveltyHead, classifier: Classifier, images: torch.Tensor) -> NDArray[np.float32]:
    novelty: NDArray[np.float32] = head(feature_maps(classifier, images)).numpy()
    return novelty


def separation(digits: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Area under the ROC curve: how probably another picture is more novel than a digit."""
    scores = np.concatenate([digits, others])
    return float(roc_auc_score(np.repeat([0, 1], [len(digits), len(others)]), scores))


def test_planted_outliers_are_found(classifier: Classifier, fitted: tuple[NoveltyHead, float], sample: Dataset) -> None:
    head, threshold = fitted
    digits = novelty_of(head, classifier, sample.images[900:])
    assert np.mean(digits <= threshold) >= 0.9
    for kind in ("clothes", "noise, salt", "textures", "scribbles, zigzag"):
        others = novelty_of(head, classifier, torch.from_numpy(pictures(kind, 100)))
        assert separation(digits, others) >= 0.95, kind


def test_the_threshold_refuses_the_share_that_was_asked_for(classifier: Classifier, sample: Dataset) -> None:
    """Of the images kept from the head, the last sixth: 150 of 900."""
    settings = NoveltySettings(steps=50, batch_size=64, drawn=20, images=300, refused=0.1)
    head, threshold = fit_novelty(classifier, sample.images[:900], settings, seed=0)
    assert (novelty_of(head, classifier, sample.images[750:900]) > threshold).sum() == 15


def test_fitting_repeats_bitwise_and_leaves_everything_else_alone(
    classifier: Classifier, fitted: tuple[NoveltyHead, float], sample: Dataset
) -> None:
    weights = {name: value.clone() for name, value in classifier.state_dict().items()}
    random = torch.get_rng_state()
    head, threshold = fit_novelty(classifier, sample.images[:900], QUICK, seed=0)
    assert threshold == fitted[1]
    for ours, theirs in zip(head.parameters(), fitted[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, weights[name]) for name, value in classifier.state_dict().items())


def test_another_seed_is_another_head(
    classifier: Classifier, fitted: tuple[NoveltyHead, float], sample: Dataset
) -> None:
    assert fit_novelty(classifier, sample.images[:900], QUICK, seed=1)[1] != fitted[1]


def test_too_few_images_are_refused(classifier: Classifier, sample: Dataset) -> None:
    with pytest.raises(ValueError, match="at least 6"):
        fit_novelty(classifier, sample.images[:5], QUICK, seed=0)


def test_every_kind_is_a_set_of_images_with_a_weight(sample: Dataset) -> None:
    generator, random = torch.Generator().manual_seed(0), np.random.default_rng(0)
    kinds = digit_kinds(sample.images[:100], ViewSettings(), generator)
    kinds |= outlier_kinds(sample.images[:100], 10, random, generator)
    for name, (images, weight) in kinds.items():
        assert images.shape[1:] == (1, 28, 28), name
        assert images.dtype == torch.uint8, name
        assert len(images) >= 10, name
        assert weight > 0, name


def test_drawings_are_random_but_repeatable(digits: Digits) -> None:
    strokes = [partial(draw_many, one) for one in (shape, scribble)]
    draws: list[Callable[[int, np.random.Generator], NDArray[np.uint8]]]
    draws = [noise, blobs, stripes, blanks, lines, *strokes]
    for draw in draws:
        one, again, other = (draw(20, np.random.default_rng(seed)) for seed in (0, 0, 1))
        np.testing.assert_array_equal(one, again)
        assert (one != other).any(), draw
    cut = jigsaws(digits[0], 50, np.random.default_rng(0))
    whole = {image.tobytes() for image in digits[0]}
    assert not whole & {image.tobytes() for image in cut}


def test_characters_have_mnists_form() -> None:
    images = characters(LETTERS[:5]).astype(float)
    rows, columns = images.max(axis=2) > 0, images.max(axis=1) > 0
    height, width = rows.sum(axis=1), columns.sum(axis=1)
    assert np.maximum(height, width).max() <= 20
    assert np.maximum(height, width).min() >= 19
    mass = images.sum(axis=(1, 2))
    for axis in (1, 2):
        centre = (images.sum(axis=3 - axis) * np.arange(28)).sum(axis=1) / mass
        assert np.abs(centre - 14).max() <= 0.6


def test_nothing_drawn_is_an_empty_image() -> None:
    assert not formed(Image.new("L", (50, 50))).any()


@pytest.fixture(scope="module")
def novelty_of_digits(digits: Digits) -> NDArray[np.float32]:
    """Of 1,000 real test digits, by the committed bundle."""
    return run_onnx(BUNDLE / MODEL, digits[0][:, None]).novelty


def test_the_committed_bundle_refuses_few_real_digits(novelty_of_digits: NDArray[np.float32]) -> None:
    assert np.mean(novelty_of_digits > Manifest.load(BUNDLE).novelty_threshold) <= 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_bundle_tells_kinds_that_it_was_not_fitted_to(
    novelty_of_digits: NDArray[np.float32], kind: str
) -> None:
    others = run_onnx(BUNDLE / MODEL, pictures(kind, 300)).novelty
    told = np.mean(others > Manifest.load(BUNDLE).novelty_threshold)
    assert separation(novelty_of_digits, others) >= 0.97
    assert told >= TOLD.get(kind, 0.9)
