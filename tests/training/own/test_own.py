"""A person's folder becomes a bundle that is served: the whole way, with small networks."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.manifest import INDEX, Manifest
from models.pictures.decode import open_image
from models.pictures.preparation import as_input, preparation
from serving.model import load_model
from tests.conftest import ROOT
from tests.training.own.conftest import NAMES, Folder
from training.data.errors import DataError
from training.own.__main__ import main, run
from training.own.settings import OwnPretrainSettings, OwnSettings
from training.stages.distill import DistillSettings

STOPPABLE = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
runpy.run_module("training.own", run_name="__main__", alter_sys=True)
"""


def settings_for(data: Path, tmp_path: Path, encoder: str) -> OwnSettings:
    return OwnSettings(
        data=data,
        name="shapes",
        encoder=encoder,
        widths=(8, 16, 16),
        pretrain=OwnPretrainSettings(images=600, batch_size=32),
        student=DistillSettings(images=6000, epochs=2, batch_size=32),
        cache=tmp_path / "cache",
        models=tmp_path / "models",
    )


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check's page goes to runs/ of the working folder."""
    monkeypatch.setattr("training.own.__main__.CHECKS", tmp_path / "check")


def test_a_folder_becomes_a_bundle_that_names_its_pictures(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    """The export itself compares every labelled file with a running service."""
    data = folder()
    summary = run(settings_for(data, tmp_path, str(encoder)))
    output = tmp_path / "models" / "shapes"
    manifest, model = Manifest.load(output), load_model(output, "cpu", 1)
    assert model.class_names == manifest.class_names == NAMES
    assert manifest.input.shape == (3, 40, 40)
    assert "means.onnx" in manifest.knowledge
    assert manifest.metrics["test_accuracy"].n == 60
    assert manifest.metrics["test_accuracy"].value > 0.8
    assert summary["labels"] == 18
    prepare = preparation(manifest.input).prepare
    files = sorted((data / "test").rglob("*.png"))
    seen = [prepare(open_image(file.read_bytes(), 10_000)).pixels for file in files]
    named = [NAMES[one.class_index] for one in model.run_batch(as_input(seen))]
    right = np.mean([name == file.parent.name for name, file in zip(named, files, strict=True)])
    assert right == pytest.approx(manifest.metrics["test_accuracy"].value)


def test_the_index_holds_the_labels_the_card_and_the_pictures(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    run(settings_for(folder(), tmp_path, str(encoder)))
    output = tmp_path / "models" / "shapes"
    with np.load(output / INDEX) as index:
        assert len(index["ids"]) == 78
        assert index["label_given"].sum() == 18
        assert index["thumbnails"].shape == (78, 40, 40, 3)
        assert "viereck äöü/c 0.png" in index["ids"].tolist()
        assert not any(name.startswith("test/") for name in index["ids"].tolist())
    card = (output / "README.md").read_text(encoding="utf-8")
    assert "kreis grün" in card
    assert "78 images, 18 of them labelled" in card
    assert {path.name for path in (output / "report").iterdir()} >= {"classes.png", "doubted.png", "mistakes.png"}
    assert not [path for path in output.parent.iterdir() if path.name != "shapes"]


@pytest.mark.parametrize("tested", [0, 10])
def test_the_encoder_itself_can_be_served(folder: Folder, encoder: Path, tmp_path: Path, tested: int) -> None:
    data = folder(labelled=10, tested=tested)
    run(replace(settings_for(data, tmp_path, str(encoder)), serve="encoder"))
    output = tmp_path / "models" / "shapes"
    manifest, model = Manifest.load(output), load_model(output, "cpu", 1)
    assert manifest.network["name"] == "encoder with a linear head"
    assert model.dim == 192
    metric = manifest.metrics["test_accuracy" if tested else "fold_accuracy"]
    assert metric.n == 30
    assert metric.value > 0.8


def test_both_networks_are_told_where_the_student_is_served(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    run(settings_for(folder(), tmp_path, str(encoder)))
    output = tmp_path / "models" / "shapes"
    assert Manifest.load(output).metrics["encoder_test_accuracy"].value > 0.8
    assert "ms for the encoder" in (output / "README.md").read_text(encoding="utf-8")


def test_without_encoder_and_test_split_the_network_learns_from_the_images(folder: Folder, tmp_path: Path) -> None:
    data = folder(labelled=10)
    shutil.rmtree(data / "test")
    run(replace(settings_for(data, tmp_path, "none"), views="geometry").resolved())
    manifest = Manifest.load(tmp_path / "models" / "shapes")
    assert manifest.knowledge == "none"
    assert set(manifest.metrics) == {"fold_accuracy", "fold_balanced_accuracy"}
    assert manifest.metrics["fold_accuracy"].n == 6  # one of five parts of 30 labels
    assert "had not seen" in manifest.protocol
    assert manifest.training["student"]["views"]["light"] == 0


@pytest.mark.parametrize(("labels", "metrics"), [((1, 1), set()), ((6, 1), {"fold_accuracy"})])
def test_few_labels_make_a_bundle_all_the_same(
    folder: Folder, encoder: Path, tmp_path: Path, labels: tuple[int, int], metrics: set[str]
) -> None:
    """With one label a class nothing can be hidden, and no figure is told."""
    data = folder(labelled=6, unlabelled=0, tested=0)
    shutil.rmtree(data / NAMES[2])
    for name, count in zip(NAMES, labels, strict=False):
        for file in sorted((data / name).iterdir())[count:]:
            file.unlink()
    run(settings_for(data, tmp_path, str(encoder)))
    manifest = Manifest.load(tmp_path / "models" / "shapes")
    assert set(manifest.metrics) >= metrics
    assert bool(manifest.metrics) == bool(metrics)


def test_names_may_hold_any_character(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    data = folder(unlabelled=6, tested=2)
    for part in (data, data / "test"):
        (part / NAMES[0]).rename(part / "a$_$|b <i>")
    run(settings_for(data, tmp_path, str(encoder)))
    card = (tmp_path / "models" / "shapes" / "README.md").read_text(encoding="utf-8")
    assert r"a\$\_\$\|b \<i\>" in card


def test_a_second_run_replaces_the_bundle_and_decodes_nothing(
    folder: Folder, encoder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(folder(), tmp_path, str(encoder))
    run(settings)
    first = Manifest.load(settings.output)
    capfd.readouterr()
    run(settings)
    said = capfd.readouterr().err
    assert Manifest.load(settings.output).files == first.files  # the same seed, the same weights
    for bar in ("looking at files", "preparing pictures", "encoding"):
        assert bar not in said


def test_an_answer_that_differs_refuses_the_export(
    folder: Folder, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(folder(), tmp_path, str(encoder))
    run(settings)
    before = sorted(path.read_bytes() for path in settings.output.glob("*.*"))
    monkeypatch.setattr("training.own.verification.TOLERANCE", -1.0)
    monkeypatch.setattr("training.own.__main__.tyro.cli", lambda *_, **__: settings)
    assert main() == 1
    assert "the service answers otherwise than training for 78 of 78 files" in capsys.readouterr().err
    assert sorted(path.read_bytes() for path in settings.output.glob("*.*")) == before


def test_what_cannot_be_is_told_before_anything_is_done(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    settings = settings_for(folder(), tmp_path, str(encoder))
    (tmp_path / "models" / "pictures").mkdir(parents=True)
    for changed in ({"name": "a/b"}, {"name": "a b"}, {"name": "pictures"}, {"size": 8}, {"frequencies": (0.5, 0.1)}):
        with pytest.raises(ValueError, match=f"--{next(iter(changed))}"):
            run(replace(settings, **changed))
    with pytest.raises(DataError, match="2 numbers for 3 classes"):
        run(replace(settings, frequencies=(0.5, 0.5)))
    with pytest.raises(DataError, match="no such folder"):
        run(replace(settings, data=tmp_path / "nowhere"))


def test_the_program_says_in_one_line_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [sys.argv[0], "--data", str(tmp_path / "nowhere"), "--name", "shapes"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        assert main() == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_the_summary_is_json(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    summary = run(settings_for(folder(unlabelled=30, tested=5), tmp_path, str(encoder)))
    assert json.loads(json.dumps(summary))["test_accuracy"]["n"] == 15


def test_features_learnt_from_the_pictures_can_be_compared_with_the_encoders(
    folder: Folder, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever the labels like better is taken, and both figures are told."""
    settings = replace(settings_for(folder(), tmp_path, str(encoder)), compare=True)
    run(settings)
    said = capsys.readouterr().err
    assert "(not taken)" in said
    taken = Manifest.load(settings.output).knowledge
    assert ("features the encoder's" in said) == (taken == "none")
    with pytest.raises(DataError, match="--compare"):
        run(replace(settings, encoder="none"))


def test_gray_pictures_make_a_gray_network_and_one_colour_among_them_another(
    folder: Folder, encoder: Path, tmp_path: Path
) -> None:
    """Gray files of every mode: all of them are seen alike by training and service, or the export is refused."""
    data = folder(unlabelled=30, tested=5)
    for number, file in enumerate(sorted(data.rglob("*.png"))):
        with Image.open(file) as image:
            gray = image.convert("L")
        modes = (gray, gray.convert("RGB"), gray.convert("LA"), gray.convert("I;16").point(lambda value: value * 257))
        modes[number % len(modes)].save(file)
    run(settings_for(data, tmp_path, str(encoder)))
    assert Manifest.load(tmp_path / "models" / "shapes").input.channels == 1
    Image.new("RGB", (40, 40), "red").save(data / "unlabelled" / "colour.png")
    run(settings_for(data, tmp_path, str(encoder)))
    assert Manifest.load(tmp_path / "models" / "shapes").input.channels == 3


def test_who_stops_a_training_finds_the_old_bundle_and_nothing_half_done(
    folder: Folder, encoder: Path, tmp_path: Path
) -> None:
    settings = settings_for(folder(), tmp_path, str(encoder))
    run(settings)
    before = {path: path.read_bytes() for path in settings.output.rglob("*") if path.is_file()}
    options = {"data": settings.data, "name": "shapes", "encoder": encoder, "models": settings.models}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    with subprocess.Popen(
        [sys.executable, "-c", STOPPABLE, *arguments, "--cache", str(settings.cache)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    ) as process:
        assert process.stderr is not None
        while "student" not in process.stderr.readline():  # its progress bar
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait() == 130, said
    assert "stopped; what was decoded and encoded so far is kept" in said
    assert {path: path.read_bytes() for path in settings.output.rglob("*") if path.is_file()} == before
    assert [path.name for path in settings.models.iterdir()] == ["shapes"]
