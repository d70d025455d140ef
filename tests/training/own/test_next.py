"""Which pictures to label next: before any label, and with some."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.manifest import INDEX
from serving.model import load_model
from tests.training.own.conftest import Folder
from training.data.errors import DataError
from training.own.next import NextSettings, run


def settings_for(data: Path, tmp_path: Path, encoder: str, count: int = 6) -> NextSettings:
    return NextSettings(data, count, tmp_path / "next", encoder, cache=tmp_path / "cache")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_works_before_there_is_any_label(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    data = folder(labelled=0, unlabelled=60, tested=0)
    chosen = run(settings_for(data, tmp_path, str(encoder)))
    found = rows(tmp_path / "next" / "next.csv")
    assert [row["path"] for row in found] == chosen
    assert len(set(chosen)) == 6
    assert all(
        (data / name).exists() and set(row) == {"path", "label"} for name, row in zip(chosen, found, strict=True)
    )
    assert {name.removeprefix("unlabelled/")[0] for name in chosen} == set("abc")  # one of each class at least
    assert (tmp_path / "next" / "next.png").stat().st_size > 10_000


@pytest.mark.parametrize("own", [False, True])
def test_before_any_label_a_bundle_embeds_and_searches(
    folder: Folder, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """Its export compares with a running service."""
    monkeypatch.setattr("training.own.settings.OwnPretrainSettings.epochs_of", lambda *_: 1)
    data = folder(labelled=0, unlabelled=60, tested=0)
    settings = settings_for(data, tmp_path, "none" if own else str(encoder))
    run(replace(settings, name="shapes", models=tmp_path / "models"))
    model = load_model(tmp_path / "models" / "shapes", "cpu", 1)
    assert model.class_names == ()
    assert model.dim == (96 if own else 192)
    assert "no label yet" in model.manifest.protocol
    with np.load(tmp_path / "models" / "shapes" / INDEX) as index:
        assert index["embeddings"].shape == (60, model.dim)
        assert (index["labels"] == -1).all()
        assert index["thumbnails"].shape == (60, 64, 64, 3)


def test_what_has_a_label_is_not_chosen_and_guesses_are_told(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    data = folder(labelled=5)
    chosen = run(settings_for(data, tmp_path, str(encoder)))
    assert all(name.startswith("unlabelled/") for name in chosen)
    assert all(row["guess"] and not row["label"] for row in rows(tmp_path / "next" / "next.csv"))


def test_a_wrong_label_is_doubted_first(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    data = folder(labelled=12)
    os.rename(data / "ring" / "b 3.png", data / "kreis grün" / "wrong.png")  # noqa: PTH104
    run(settings_for(data, tmp_path, str(encoder)))
    assert rows(tmp_path / "next" / "doubtful.csv")[0] == {"path": "kreis grün/wrong.png", "label": "kreis grün"}


def test_without_an_encoder_the_pretrained_network_is_kept(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.own.settings.OwnPretrainSettings.epochs_of", lambda *_: 2)
    data = folder(labelled=0, unlabelled=300)
    settings = settings_for(data, tmp_path, "none")
    first = run(settings)
    assert "pretrain" in capfd.readouterr().err
    assert list((tmp_path / "cache" / "pretrained").rglob("*.pt"))
    assert run(settings) == first


def test_nothing_to_choose_from_is_told(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    data = folder(labelled=0, unlabelled=3, tested=0)
    for file in data.rglob("*.png"):
        file.write_text("no picture")
    with pytest.raises(DataError, match="can be read"):
        run(settings_for(data, tmp_path, str(encoder)))
    with pytest.raises(ValueError, match="--count 0"):
        run(settings_for(data, tmp_path, str(encoder), count=0))
