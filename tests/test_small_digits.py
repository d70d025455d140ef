"""scikit-learn's digits of 8×8 pixels (Alpaydin and Kaynak 1998, UCI), other hands than MNIST's, through the service.

Not among the serving tests, which run without scikit-learn too.
"""

import numpy as np
from sklearn.datasets import load_digits

from models.pictures.decode import open_image
from models.pictures.preparation import DIGIT_INPUT, preparation
from serving.model import load_model
from tests.conftest import BUNDLE
from tests.pictures.uploads import encoded


def test_digits_of_eight_by_eight_pixels_are_known() -> None:
    prepare = preparation(DIGIT_INPUT).prepare
    pixels, labels = load_digits(return_X_y=True)
    images = np.clip(pixels * 16, 0, 255).astype(np.uint8).reshape(-1, 8, 8)
    seen = np.stack([prepare(open_image(encoded(one), 1000)).pixels for one in images])
    named = [one.class_index for one in load_model(BUNDLE, "cpu", 1).run_batch(seen[:, None])]
    assert np.mean(named == labels) >= 0.95
