"""28×28 pictures that are not in MNIST's form: which they are, and that the committed bundle knows them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.manifest import BundleError
from models.pictures.decode import open_image
from models.pictures.preparation import DIGIT_INPUT, preparation
from serving.model import load_model
from tests.conftest import BUNDLE, Digits
from tests.pictures.forms import FORMS
from tests.pictures.uploads import encoded

DIGIT = preparation(DIGIT_INPUT)


def prepared(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As the service would: the fast way where it is taken."""
    content = encoded(picture)
    fast = DIGIT.already_prepared(content)
    return DIGIT.prepare(open_image(content, 1000)).pixels if fast is None else fast


def test_digits_in_other_forms_are_known(digits: Digits) -> None:
    """On 400 each; `python -m tests.reports.kinds` measures all 1,000."""
    images, labels = digits[0][:400], digits[1][:400]
    model = load_model(BUNDLE, "cpu", 1)
    for number, (name, form) in enumerate(FORMS.items()):
        random = np.random.default_rng(number)
        pictures = np.stack([prepared(form(digit, random)) for digit in images])
        answers = [one for some in np.split(pictures, 8) for one in model.run_batch(some[:, None])]
        assert np.mean([one.class_index for one in answers] == labels) >= 0.96, name
        assert np.mean([not one.known for one in answers]) <= 0.05, name


@pytest.mark.parametrize("name", ["scaled", "off_centre", "bold", "dilated"])
def test_what_is_not_in_mnists_form_is_not_passed_through(digits: Digits, name: str) -> None:
    """A few of those that were moved have a centre of mass in range by chance."""
    random = np.random.default_rng(0)
    passed = [DIGIT.already_prepared(encoded(FORMS[name](digit, random))) is not None for digit in digits[0][:300]]
    assert np.mean(passed) <= 0.01


def test_neither_is_what_only_shares_the_box_or_the_centre(digits: Digits) -> None:
    """A photograph's even mass is centred, faint digits have the box: both need to be brought into the form."""
    random = np.random.default_rng(0)
    noise = random.integers(100, 256, (28, 28)).astype(np.uint8)
    framed = np.pad(noise[1:-1, 1:-1], 1)
    uneven = np.pad(noise[:20, :20] // np.arange(1, 21, dtype=np.uint8), 4)
    for picture in (noise, framed, uneven, digits[0][0] // 2, np.zeros((28, 28), np.uint8)):
        assert DIGIT.already_prepared(encoded(picture)) is None


def test_mnists_digits_pass_whatever_the_colours_of_ink_and_ground(digits: Digits) -> None:
    for digit in digits[0][:100]:
        np.testing.assert_array_equal(prepared(255 - digit), digit)
        np.testing.assert_array_equal(prepared(np.stack([digit] * 3, axis=-1)), digit)


def test_an_unknown_kind_of_input_is_refused() -> None:
    with pytest.raises(BundleError, match="'sound' is unknown"):
        preparation(replace(DIGIT_INPUT, kind="sound"))
