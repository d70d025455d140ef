"""What trainings on few drawn labels give: figures, table, files."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.training.experiments.test_trials import pictures_of, read_trial
from tests.training.own.conftest import NAMES, Folder
from training.data.errors import DataError
from training.encoders import find_encoder
from training.experiments import pictures as command
from training.experiments.processes import output_of, trained
from training.experiments.scores import regression
from training.experiments.trial_settings import TrialSettings
from training.experiments.trial_table import table
from training.experiments.trials import divide


def test_logistic_regression_learns_the_given_labels_alone(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    """Against the same by hand, on means over 4×4 pixels of pictures that the encoder takes at 32×32."""
    division = divide(pictures_of(folder(labelled=12), tmp_path), 0.25, 0)
    read_trial(division, tmp_path, count=3)
    pictures = pictures_of(tmp_path / "trials" / "a.csv", tmp_path)
    found = find_encoder(str(encoder), tmp_path / "encoders")
    assert found
    seen = pictures.seen(found.input("crop")).astype(np.float64)
    means = seen.reshape(-1, 8, 4, 8, 4, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(-1, 192)
    scale = np.repeat(np.array([0.229, 0.224, 0.225]) * 255, 64)  # as a file of floats is fed
    centred = means / scale - (means / scale)[pictures.training].mean(axis=0)
    units = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    known = np.flatnonzero((pictures.labels >= 0) & ~pictures.held_out)
    assert len(known) == 9
    model = LogisticRegression(C=10, max_iter=500).fit(units[known], pictures.labels[known])
    predicted = regression(pictures, found, "crop")
    assert predicted.labels.tolist() == pictures.labels[pictures.test].tolist()
    assert (predicted.answers == model.predict(units[pictures.test])).mean() > 0.98


def test_memory_of_this_process_does_not_count_towards_a_trainings(tmp_path: Path) -> None:
    kept = bytearray(300_000_000)
    code = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    said, _ = output_of([sys.executable, "-c", code], {}, tmp_path / "log")
    assert int(said) < 100
    assert kept[-1] == 0


def trial(labels: int, accuracy: float, head: float | None, seconds: float) -> dict[str, object]:
    def both(value: float) -> dict[str, float]:
        return {"accuracy": value, "balanced": value - 0.1}

    foreign = [{"name": "others", "n": 9, "area": 0.75, "refused": 0.5}]
    about = {"classes": 2, "training": 2000, "test": 600, "copies": 3, "serve": "student", "encoder": "an encoder"}
    costs = {"seconds": seconds, "peak_memory_mb": 1500, "served_ms": 0.17, "encoder_ms": None}
    machine = {"cores": 2, "cpu": "a processor", "threads": 1, "device": "cpu", "precision": "float32"}
    return {
        **about,
        **costs,
        "labels": labels,
        "input": {"kind": "crop", "height": 32, "width": 32, "channels": 1},
        "served": both(accuracy),
        "head": both(head) if head else None,
        "regression": both(0.75),
        "refused": 0.0,
        "foreign": foreign,
        "conditions": machine | {"commit": "c"},
    }


def test_the_table_of_three_trials_counted_by_hand() -> None:
    lines = table([trial(25, 0.9, None, 130), trial(10, 0.7, None, 100), trial(10, 0.8, None, 120)]).splitlines()
    assert lines[0] == "| mean (range) over draws | 10 labels a class, n = 2 | 25 labels a class, n = 1 |"
    assert lines[2] == "| student, accuracy | 75.0 % (70.0 to 80.0) | 90.0 % |"
    assert lines[3] == "| student, balanced accuracy | 65.0 % (60.0 to 70.0) | 80.0 % |"
    assert "| student − logistic regression, accuracy | +0.0 points (-5.0 to +5.0) | +15.0 points |" in lines
    assert "| a training, s | 110 (100 to 120) | 130 |" in lines
    assert "| others (9): area under the ROC of novelty | 0.750 (0.750 to 0.750) | 0.750 |" in lines
    assert not [line for line in lines if "linear head" in line or "encoder, ms" in line]
    assert "2,000 pictures to train on, 600 to test with, of which 3 have the same pixels" in lines[-3]
    assert "encoder with a linear head − logistic" in table([trial(10, 0.7, 0.8, 1)])


def settings_for(data: Path, encoder: Path, tmp_path: Path) -> TrialSettings:
    return TrialSettings(
        data=data,
        name="shapes",
        labels=(4,),
        draws=1,
        leave_out=NAMES[1],
        others=(data / "unlabelled",),
        encoder=str(encoder),
        options="--student.images 1500 --student.epochs 1 --student.batch-size 32 --widths 8 16 16",
        cache=tmp_path / "cache",
        folder=tmp_path / "trials",
        results=tmp_path / "results",
    )


def test_a_trial_from_pictures_to_figures(
    folder: Folder, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(folder(labelled=10, unlabelled=30, tested=8), encoder, tmp_path)
    (row,) = command.run(settings)
    assert (row["given"], row["training"], row["test"], row["classes"]) == (8, 20, 16, 2)
    assert row["input"]["kind"] == "crop"
    for source in ("served", "head", "regression"):
        assert 0.4 <= row[source]["accuracy"] <= 1
    assert row["served_ms"] > 0
    assert row["encoder_ms"] > 0
    assert [(one["name"], one["n"]) for one in row["foreign"]] == [
        ("the class ring, left out", 18),
        ("pictures of unlabelled", 30),
    ]
    assert all(0 <= one["area"] <= 1 for one in row["foreign"])
    assert json.loads((tmp_path / "results" / "shapes.json").read_text())["trials"] == [row]
    assert "| student, accuracy |" in table([row])
    monkeypatch.setattr(command, "measured", lambda *_: {})
    assert command.run(settings) == [row]  # nothing ran
    assert command.run(replace(settings, again=True))[0].keys() == {"key"}
    assert command.run(replace(settings, size=32))[0]["key"] != row["key"]


def test_a_training_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho much >&2\necho error: why >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    own = TrialSettings(data=tmp_path).own(tmp_path, "shapes")
    with pytest.raises(DataError, match=r"^error: why \(the training ended with 3; .*log tells more"):
        trained(own, "--views geometry", 1, tmp_path / "log")


@pytest.mark.parametrize("wrong", [{"labels": ()}, {"draws": 0}, {"images": -1}, {"held_out": 1.0}, {"name": "a/b"}])
def test_what_cannot_be_is_told_first(wrong: dict[str, object], tmp_path: Path) -> None:
    settings = TrialSettings(data=tmp_path, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"--{next(iter(wrong)).replace('_', '-')}"):
        settings.check()
