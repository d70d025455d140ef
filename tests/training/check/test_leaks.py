"""Labels that formats, sizes and names give away, and chance, which does not."""

import numpy as np
import pytest

from training.check.leaks import attributes, leak, pattern
from training.data.info import FileInfo


def drawn(count: int, kinds: int, seed: int) -> list[str]:
    return [f"kind {one}" for one in np.random.default_rng(seed).integers(kinds, size=count)]


@pytest.mark.parametrize(("count", "classes", "values"), [(12, 2, 2), (60, 3, 4), (400, 40, 5), (1000, 5, 900)])
def test_chance_is_no_leak(count: int, classes: int, values: int) -> None:
    alarms = [leak("size", drawn(count, values, seed), drawn(count, classes, 1000 + seed)) for seed in range(20)]
    assert sum(alarm is not None for alarm in alarms) <= 1


def test_an_attribute_of_a_class_is_found_among_many_classes() -> None:
    labels = drawn(3000, 30, 0)
    random = np.random.default_rng(1)
    values = ["PNG" if (label == "kind 17") == (random.random() < 0.95) else "JPEG" for label in labels]
    found = leak("format", values, labels)
    assert found is not None
    assert (found.attribute, found.class_name, found.value) == ("format", "kind 17", "PNG")
    assert found.share > 0.9 > 0.1 > found.share_elsewhere
    assert abs(found.informedness - (found.share - found.share_elsewhere)) < 1e-9


def test_few_labels_prove_nothing_and_some_do() -> None:
    assert leak("format", ["PNG"] * 3 + ["JPEG"] * 3, ["a"] * 3 + ["b"] * 3) is None
    assert leak("format", ["PNG"] * 12 + ["JPEG"] * 12, ["a"] * 12 + ["b"] * 12) is not None


def test_nothing_to_compare_is_no_leak() -> None:
    assert leak("format", ["PNG"] * 40, drawn(40, 2, 0)) is None
    assert leak("format", drawn(40, 2, 0), ["a"] * 40) is None
    assert leak("format", [], []) is None


def test_values_that_each_picture_has_alone_tell_nothing() -> None:
    assert leak("size", [str(number) for number in range(200)], ["a"] * 100 + ["b"] * 100) is None


def test_attributes_are_of_files_not_of_folders() -> None:
    infos = [FileInfo(b"", 1, "PNG", "P", 640, 480, None, True), FileInfo(b"", 1, "JPEG", "RGB", 30, 40)]
    assert attributes(["cat/IMG_0017 (2).png", "x.y/b.tar.jpg"], infos) == {
        "format": ["PNG", "JPEG"],
        "colour mode": ["P", "RGB"],
        "colour": ["gray", "coloured"],
        "size": ["640 × 480", "30 × 40"],
        "aspect ratio": ["1.33", "0.75"],
        "file name": ["img_# (#)", "b.tar"],
    }
    assert pattern("cat/CAT-12.jpg") == "cat-#"
