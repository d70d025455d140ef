"""Load tests with a user's own files, against a bundle of their own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest import files
from loadtest.files import draw
from tests.bundles.building import COLOURS, picture, write_bundle
from tests.loadtest.test_loadtest import Liar, load_test, serving
from tests.pictures.uploads import encoded


def tree(root: Path, sizes: dict[str, int]) -> Path:
    for name, size in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(size)
    return root


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in draw(root).paths]


def test_pictures_are_drawn_evenly_over_the_folder(tmp_path: Path) -> None:
    tree(tmp_path, {f"{'abcde'[number % 5]}/{number:04d}.jpg": 1 for number in range(2500)})
    drawn = draw(tmp_path)
    assert (drawn.found, len(set(drawn.paths)), drawn.too_large) == (2500, 1000, 0)
    assert {folder: sum(path.parent.name == folder for path in drawn.paths) for folder in "abcde"} == dict.fromkeys(
        "abcde", 200
    )
    assert drawn == draw(tmp_path)


def test_only_visible_pictures_of_a_fair_size_are_drawn(tmp_path: Path) -> None:
    taken = ["a b/Ä.PNG", "b/c/d.jpeg", "x.webp"]
    others = [".hidden.png", ".git/a.png", "labels.csv", "notes.txt", "png"]
    tree(tmp_path, dict.fromkeys(taken + others, 1) | {"large.tif": files.MAX_FILE_BYTES + 1})
    (tmp_path / "y.png").symlink_to("nowhere.png")
    assert names(tmp_path) == taken
    assert draw(tmp_path)[1:] == (5, 1, 1)


def test_all_files_together_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    tree(tmp_path, {f"{number:03d}.png": 10 if number < 500 else 100 for number in range(600)})
    drawn = draw(tmp_path)
    assert sum(path.stat().st_size for path in drawn.paths) <= 1000
    assert len(drawn.paths) > 30
    assert any(path.stat().st_size == 100 for path in drawn.paths)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"absent: no such folder"):
        draw(tmp_path / "absent")
    assert draw(tmp_path).paths == []


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of every format, and four that are none."""
    folder = tmp_path / "my photos"
    for number in range(24):
        kind = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")[number % 6]
        path = folder / f"klaß {number % 2}" / f"Bild {number}.{kind.lower()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(np.roll(COLOURS[0], number), 8 + number, 8), kind))
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_bytes(b"text")
    (folder / "cut.png").write_bytes(encoded(picture(COLOURS[0], 50, 50))[:60])
    tree(folder, {"large.png": files.MAX_FILE_BYTES + 1})
    return folder


def test_own_pictures_are_posted_to_an_own_bundle(tmp_path: Path, photos: Path) -> None:
    bundle = write_bundle(tmp_path / "models" / "photos")
    result = load_test(tmp_path / "results", "--data", str(photos), "--model-dir", str(bundle))
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout.splitlines()[-1])
    assert (summary["failures"], summary["accuracy"]) == (0, None)
    assert summary["requests"] > 100
    assert summary["images"] == {"found": 28, "sent": 24, "too_large": 1, "unreadable": 3}
    assert summary["model"].startswith("photos@")
    assert (summary["settings"]["data"], summary["settings"]["model_dir"]) == (str(photos), str(bundle))
    assert "left out: 1 of more than 10,000,000 bytes, 3 unreadable" in result.stderr
    assert "text.jpg: 415 " in result.stderr


def last_line(tmp_path: Path, *arguments: str) -> str:
    result = load_test(tmp_path / "results", *arguments)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1]


def test_what_cannot_be_tested_is_one_clear_message(tmp_path: Path, photos: Path) -> None:
    bundle, unlabelled = write_bundle(tmp_path / "photos"), write_bundle(tmp_path / "unlabelled", ())
    assert "names 0.0% of the digits right" in last_line(tmp_path, "--model-dir", str(bundle))
    assert "--data" in last_line(tmp_path, "--model-dir", str(bundle))
    for data in ([], ["--data", str(photos)]):
        assert "answers 409 unlabelled@" in last_line(tmp_path, "--model-dir", str(unlabelled), *data)
    assert "no such folder" in last_line(tmp_path, "--model-dir", str(bundle), "--data", str(tmp_path / "absent"))
    empty = tree(tmp_path / "empty", {"a.png": 0, "b.txt": 1})
    assert "holds no image file" in last_line(tmp_path, "--model-dir", str(bundle), "--data", str(empty))
    assert "give --host, or --model-dir" in last_line(tmp_path, "--host", "http://a", "--model-dir", str(bundle))


class Confused(Liar):
    """Names each file by its size; its probabilities or its confidence are wrong under load."""

    loaded: dict[str, Any]

    def do_POST(self) -> None:  # noqa: N802 (the base class's name)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        fine = {"label": str(len(body)), "confidence": 0.75, "probabilities": [0.25, 0.75]}
        self.answer({**fine, **(self.loaded if type(self).asked > 24 else {})})


@pytest.mark.parametrize(
    ("loaded", "words"),
    [
        ({"label": "another"}, "another label"),
        ({"confidence": 0.25}, "a confidence that is not their largest"),
        ({"probabilities": [0.75, 0.75]}, "do not add up"),
        ({"probabilities": []}, "do not add up"),
        ({"probabilities": None}, "not the JSON of a prediction"),
    ],
)
def test_wrong_answers_are_told_apart(tmp_path: Path, photos: Path, loaded: dict[str, Any], words: str) -> None:
    for name in ("empty.png", "text.jpg", "cut.png"):
        (photos / name).unlink()  # this service refuses nothing
    handler = type("Handler", (Confused,), {"loaded": loaded, "asked": 0})
    with serving(handler) as host:
        result = load_test(tmp_path / "results", "--host", host, "--data", str(photos), "--duration-s", "1")
    assert result.returncode == 1
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["failure_ratio"] == 1
    assert words in " ".join(summary["errors"])
