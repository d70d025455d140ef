"""Uploads as people make them: how many digits the committed model names right, and how long finding them takes.

Wanted are 97 % overall and 95 % of each kind; `python -m tests.reports.kinds` measures more of them. Twenty-five of a
kind leave room for chance: where 97 % are right, fewer than 22 are seen once in 150 times; the digits and the random
numbers are fixed, so a pass stays a pass.
"""

import signal
import time

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.pictures.decode import open_image, to_picture
from models.pictures.ink import digit_of
from models.pictures.pieces import main_piece
from models.pictures.preparation import DIGIT_INPUT, Found, preparation
from serving.model import OnnxModel, load_model
from tests.conftest import BUNDLE, Digits
from tests.pictures.realistic import KINDS, Kind, gradient, painted, photographed, placed, strokes
from tests.pictures.unseen import UNSEEN

EACH = 25
PIXELS = 25_000_000
PREPARE = preparation(DIGIT_INPUT).prepare


@pytest.fixture(scope="module")
def committed() -> OnnxModel:
    return load_model(BUNDLE, "cpu", 1)


def named(model: OnnxModel, found: list[Found]) -> NDArray[np.int64]:
    """Which digits they are, (n,) int64."""
    return np.array([one.class_index for one in model.run_batch(np.stack([one.pixels for one in found])[:, None])])


def by_kind(model: OnnxModel, digits: Digits, kinds: dict[str, Kind]) -> dict[str, float]:
    shares = {}
    for number, (name, kind) in enumerate(kinds.items()):
        random = np.random.default_rng(number)
        chosen = random.choice(len(digits[0]), EACH, replace=False)
        uploads = [kind(digits[0][one], random) for one in chosen]
        found = [PREPARE(open_image(upload, PIXELS)) for upload in uploads]
        assert np.mean([one.several for one in found]) <= 0.08, name
        shares[name] = float((named(model, found) == digits[1][chosen]).mean())
    return shares


def test_digits_are_known_on_every_kind_of_upload(digits: Digits, committed: OnnxModel) -> None:
    shares = by_kind(committed, digits, KINDS)
    assert min(shares.values()) >= 0.88, shares
    assert np.mean(list(shares.values())) >= 0.97, shares


def test_digits_are_known_on_kinds_not_developed_with(digits: Digits, committed: OnnxModel) -> None:
    shares = by_kind(committed, digits, UNSEEN)
    assert min(shares.values()) >= 0.88, shares


def in_a_row(digits: NDArray[np.uint8], random: np.random.Generator, gap: float) -> bytes:
    """A photograph of digits beside each other, `gap` of their field apart."""
    drawn = [strokes(digit, random) for digit in digits]
    cut = [one[:, one.max(axis=0) > 0.5] for one in drawn]
    apart = np.zeros((len(cut[0]), round(gap * len(cut[0]))), np.float32)
    row = np.pad(np.concatenate([part for one in cut for part in (one, apart)][:-1], axis=1), 60)
    return photographed(painted((245, 240, 230), (30, 30, 90), row) * gradient(random, row.shape, 0.7), random)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_several_digits_are_said_and_one_of_them_is_named(digits: Digits, committed: OnnxModel, count: int) -> None:
    random = np.random.default_rng(count)
    chosen = np.stack([random.choice(len(digits[0]), count, replace=False) for _ in range(EACH)])
    rows = [in_a_row(digits[0][some], random, random.uniform(0.08, 0.5)) for some in chosen]
    found = [PREPARE(open_image(row, PIXELS)) for row in rows]
    assert all(one.several for one in found)
    assert (named(committed, found)[:, None] == digits[1][chosen]).any(axis=1).mean() >= 0.92


def test_of_two_digits_the_one_with_more_ink_is_taken(digits: Digits) -> None:
    one, other = digits[0][:2]
    alone, both = np.zeros((2, 280, 560), np.uint8)
    alone[:, :280] = both[:, :280] = np.kron(one, np.ones((10, 10), np.uint8))
    both[100:212, 380:492] = np.kron(other, np.ones((4, 4), np.uint8))
    digit, several = digit_of(both)
    np.testing.assert_array_equal(digit, digit_of(alone)[0])
    assert several


def framed(side: int, insets: list[tuple[int, int]]) -> NDArray[np.uint8]:
    """Nested frames on a white square, each so many pixels in and so thick."""
    picture = np.full((side, side), 255, np.uint8)
    for inset, thickness in insets:
        cv2.rectangle(picture, (inset, inset), (side - 1 - inset, side - 1 - inset), (0,), thickness)
    return picture


def test_nested_frames_are_no_endless_loop() -> None:
    def too_long(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)  # a hang would be the whole suite's
    try:
        random = np.random.default_rng(0)
        digit_of(framed(320, [(12, 2), (20, 6), (32, 2)]))
        for _ in range(200):
            insets = np.cumsum(random.integers(3, 25, 3)).tolist()
            digit_of(framed(int(random.integers(120, 400)), [(one, int(random.integers(1, 8))) for one in insets]))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_pattern_is_taken_whole_and_a_page_of_digits_is_not(digits: Digits) -> None:
    squares = np.tile(np.pad(np.ones((30, 30), np.uint8), 10), (3, 4))
    whole, several = main_piece(squares)
    np.testing.assert_array_equal(whole, squares)
    assert several
    page = np.concatenate([np.concatenate(row, axis=1) for row in digits[0][:36].reshape(6, 6, 28, 28)])
    page = np.pad((page.repeat(4, 0).repeat(4, 1) > 127).astype(np.uint8), 4)
    one, several = main_piece(page)
    assert several
    assert one.sum() < page.sum() / 10


def test_pictures_of_anything_never_raise() -> None:
    """Noise, lines and blocks of 300 sizes from a pixel to 500×500."""
    random = np.random.default_rng(0)
    for number in range(300):
        size = (*(2 ** random.uniform(0, 9, 2)).astype(int), *((3,) if number % 2 else ()))
        noise, striped = random.integers(0, 256, size, np.uint8), np.full(size, 255, np.uint8)
        striped[:: int(random.integers(1, 30))] = 0
        block = striped // 2
        block[size[0] // 3 : size[0] // 2 + 1, size[1] // 4 : size[1] // 2 + 1] = random.integers(256)
        for picture in (noise, striped, block, (noise > 250) * np.uint8(255)):
            digit, _ = digit_of(picture)
            assert digit.shape == (28, 28)
            assert digit.dtype == np.uint8


def test_a_digit_is_found_in_a_few_milliseconds(digits: Digits) -> None:
    """A megapixel, decoded: 3 ms is the aim on an idle core; three times that, fastest of 10, for a busy one."""
    ink = placed(strokes(digits[0][0], np.random.default_rng(0)), np.random.default_rng(0), (1000, 1000))
    image = Image.fromarray(painted((240, 235, 220), (30, 30, 90), ink).astype(np.uint8))
    times = []
    for _ in range(10):
        start = time.thread_time()
        digit_of(to_picture(image))
        times.append(time.thread_time() - start)
    assert min(times) < 0.009
