"""Few labels drawn of a collection whose labels are known, and the folder that trainings read."""

import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.own.conftest import NAMES, Folder
from training.data.collection import Record, collect
from training.data.errors import DataError
from training.data.scan import scan
from training.experiments.trials import Division, divide, drawn_labels, link_pictures, write_trial
from training.own.pictures import Pictures


def pictures_of(data: Path, tmp_path: Path) -> Pictures:
    collection = collect(data)
    return Pictures(collection, scan(collection, tmp_path / "cache"), tmp_path / "cache")


def read_trial(division: Division, tmp_path: Path, count: int = 4, draw: int = 0) -> tuple[Record, ...]:
    """What a training reads of a trial, and that it finds nothing odd."""
    names = link_pictures(division, tmp_path / "trials")
    write_trial(tmp_path / "trials" / "a.csv", division, names, drawn_labels(division, count, draw))
    write_trial(tmp_path / "trials" / "b.csv", division, names, drawn_labels(division, count, draw + 1))
    collection = collect(tmp_path / "trials" / "a.csv")
    assert not collection.problems
    return collection.records


def test_a_trial_gives_so_many_labels_a_class_and_the_test_split(folder: Folder, tmp_path: Path) -> None:
    division = divide(pictures_of(folder(labelled=12, unlabelled=6), tmp_path), 0.25, 0)
    records = read_trial(division, tmp_path)
    assert len(records) == 3 * (12 + 20)  # what has no label takes no part
    assert division.unused == 6
    assert Counter(one.label for one in records if not one.held_out) == dict.fromkeys(NAMES, 4) | {None: 3 * 8}
    assert Counter(one.label for one in records if one.held_out) == dict.fromkeys(NAMES, 20)


def test_no_name_tells_a_class_and_links_are_the_pictures(folder: Folder, tmp_path: Path) -> None:
    pictures = pictures_of(folder(labelled=12), tmp_path)
    division = divide(pictures, 0.25, 0)
    names = link_pictures(division, tmp_path / "trials")
    for place, name in names.items():
        assert len(name) == len("images/0123456789abcdef.png")
        source = pictures.collection.root / pictures.names[place]
        assert (tmp_path / "trials" / name).samefile(source)
    again = link_pictures(replace(division, training=division.training[:5]), tmp_path / "trials")
    assert len(list((tmp_path / "trials" / "images").iterdir())) == len(again) == 5 + len(division.test)


def test_the_test_split_is_that_of_the_collection_or_drawn_by_its_seed(folder: Folder, tmp_path: Path) -> None:
    data = folder(labelled=12, tested=3)
    division = divide(pictures_of(data, tmp_path), 0.25, 0)
    assert all(division.pictures.names[place].startswith("test/") for place in division.test)
    shutil.rmtree(data / "test")
    pictures = pictures_of(data, tmp_path)
    divisions = [divide(pictures, 0.25, seed) for seed in (0, 0, 1)]
    for one in divisions:
        assert np.bincount(pictures.labels[one.test]).tolist() == [3, 3, 3]
        assert np.bincount(pictures.labels[one.training]).tolist() == [9, 9, 9]
        for draw in range(3):
            given = drawn_labels(one, 5, draw)
            assert set(given.tolist()) <= set(one.training.tolist())
            assert not set(given.tolist()) & set(one.test.tolist())
    tests = [one.test.tolist() for one in divisions]
    assert tests[0] == tests[1] != tests[2]


def test_draws_differ_and_contain_smaller_ones(folder: Folder, tmp_path: Path) -> None:
    division = divide(pictures_of(folder(labelled=12), tmp_path), 0.25, 0)
    few, more, other = (drawn_labels(division, *one).tolist() for one in ((4, 0), (8, 0), (4, 1)))
    assert set(few) < set(more)
    assert few != other
    assert len(drawn_labels(division, 100, 0)) == 36  # all that there are


def test_a_class_that_is_left_out_is_in_no_tree(folder: Folder, tmp_path: Path) -> None:
    pictures = pictures_of(folder(labelled=12), tmp_path)
    division = divide(pictures, 0.25, 0, leave_out=NAMES[1])
    assert {record.label for record in read_trial(division, tmp_path)} == {NAMES[0], NAMES[2], None}
    linked = {path.read_bytes() for path in (tmp_path / "trials" / "images").iterdir()}
    left_out = {pictures.collection.read(pictures.names[place]) for place in division.left_out}
    assert len(left_out) == 12 + 20
    assert not linked & left_out
    with pytest.raises(DataError, match="no class to train on is called so"):
        divide(pictures, 0.25, 0, leave_out="nothing")


def test_so_many_pictures_a_class_at_most(folder: Folder, tmp_path: Path) -> None:
    pictures = pictures_of(folder(labelled=12), tmp_path)
    division = divide(pictures, 0.25, 0, most=7)
    assert np.bincount(pictures.labels[division.training]).tolist() == [7, 7, 7]
    assert len(division.test) == 60


def test_copies_get_names_of_their_own_and_are_counted(folder: Folder, tmp_path: Path) -> None:
    data = folder(labelled=6)
    shutil.copy(data / "ring" / "b 0.png", data / "ring" / "again.png")
    shutil.copy(data / "ring" / "b 0.png", data / "test" / "ring" / "again.png")
    division = divide(pictures_of(data, tmp_path), 0.25, 0)
    assert division.copies == 1
    assert len(read_trial(division, tmp_path)) == 3 * (6 + 20) + 2


def test_a_zip_is_copied(folder: Folder, tmp_path: Path) -> None:
    data = folder(labelled=6, tested=2)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(data.rglob("*.png")):
            archive.write(path, path.relative_to(data))
    division = divide(pictures_of(tmp_path / "all.zip", tmp_path), 0.25, 0)
    assert len(read_trial(division, tmp_path)) == 3 * (6 + 2)


def test_too_few_pictures_are_told(folder: Folder, tmp_path: Path) -> None:
    data = folder(labelled=1, tested=1)
    shutil.rmtree(data / "test")
    with pytest.raises(DataError, match="no picture to train on is left of kreis grün"):
        divide(pictures_of(data, tmp_path), 0.25, 0)
    shutil.rmtree(data / NAMES[2])
    with pytest.raises(DataError, match="two classes are needed"):
        divide(pictures_of(data, tmp_path), 0.25, 0, leave_out=NAMES[0])
