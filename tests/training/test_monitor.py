from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.diagnostics import Diagnosis
from training.monitor import Monitor


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_shows_a_killed_run_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    with Monitor(tmp_path).stage("toy", steps=4, batch_size=2) as progress:
        for loss in (4.0, 3.0, 99.0):  # killed after the checkpoint of step 2
            progress.update(loss)
    with Monitor(tmp_path).stage("toy", steps=4, batch_size=2, done=2) as progress:
        for loss in (2.0, 1.0):
            progress.update(loss)
        progress.tell("epoch 2", Diagnosis(alignment=0.25, uniformity=-2.5, rank=32.0, knn=0.75))
    assert curve(tmp_path / "toy", "loss") == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.0)]
    assert curve(tmp_path / "toy", "rank") == [(4, 32.0)]


def test_a_collapse_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with Monitor().stage("toy", steps=2, batch_size=512, done=1) as progress:
        progress.update(0.5)
        progress.tell("epoch 2", Diagnosis(alignment=0.0, uniformity=-0.1, rank=1.0, knn=0.1))
    shown = capsys.readouterr().err
    assert "WARNING: the features of different images are nearly the same" in shown
    assert "1.02k/1.02k images" in shown or "100%" in shown
