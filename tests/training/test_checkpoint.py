"""A run that is stopped and resumed ends with the weights of one that was never stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from training.checkpoint import Checkpoint, Stateful, run_key
from training.data.dataset import Dataset, forget_labels
from training.experiments.sharing import SharedCheckpoint
from training.pipeline import train
from training.provenance import code_of
from training.settings import TrainingSettings
from training.stages.finetune import FinetuneSettings
from training.stages.pretrain import PretrainSettings

SMALL = TrainingSettings(
    pretrain=PretrainSettings(epochs=3, batch_size=128),
    finetune=FinetuneSettings(epochs=4, batch_size=96),
)


class Killed(BaseException):
    """Simulates the end of the process."""


def test_a_run_stopped_after_any_checkpoint_ends_with_the_same_weights(
    sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = forget_labels(sample, keep=100)
    whole, history = train(data, SMALL)
    save = Checkpoint.save

    def save_and_die(self: Checkpoint, stage: str, parts: Mapping[str, Stateful], done: int) -> None:
        save(self, stage, parts, done)
        raise Killed

    monkeypatch.setattr(Checkpoint, "save", save_and_die)
    checkpoint, deaths = Checkpoint(tmp_path), 0
    while True:
        try:
            resumed, seen = train(data, SMALL, checkpoint)
            break
        except Killed:
            deaths += 1
    assert deaths == 3 + 4
    for ours, theirs in zip(resumed.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert seen == history
    checkpoint.clear()
    assert not tmp_path.exists()


def test_half_a_file_is_never_read(sample: Dataset, tmp_path: Path) -> None:
    """A partly written file lies beside the last complete one, under another name."""
    model = torch.nn.Linear(2, 2)
    checkpoint, parts = Checkpoint(tmp_path), {"model": model}
    assert checkpoint.resume("toy", parts) == 0
    checkpoint.save("toy", parts, 1)
    (tmp_path / "toy.partial").write_bytes(b"half")
    weights = model.weight.detach().clone()
    torch.nn.init.zeros_(model.weight)
    assert checkpoint.resume("toy", parts) == 1
    assert torch.equal(model.weight, weights)


def test_a_shared_stage_is_found_by_other_runs_and_outlives_them(tmp_path: Path) -> None:
    one, other = (SharedCheckpoint(tmp_path / name, {"common": tmp_path / "shared"}) for name in ("one", "other"))
    one.save("common", {"model": torch.nn.Linear(2, 2)}, 3)
    one.save("own", {"model": torch.nn.Linear(2, 2)}, 4)
    one.clear()
    assert other.resume("common", {"model": torch.nn.Linear(2, 2)}) == 3
    assert other.resume("own", {"model": torch.nn.Linear(2, 2)}) == 0
    assert not (tmp_path / "one").exists()


def test_another_run_has_another_name(sample: Dataset) -> None:
    data = forget_labels(sample, keep=100)
    key = run_key(data, {"seed": 0})
    assert key == run_key(data, {"seed": 0})
    others = {
        run_key(data, {"seed": 1}),
        run_key(forget_labels(sample, keep=101), {"seed": 0}),
        run_key(replace(data, images=data.images.flip(0)), {"seed": 0}),
    }
    assert len(others | {key}) == 4


def test_killed_and_started_again_the_command_writes_the_same_model(tmp_path: Path) -> None:
    """SIGKILL in each stage."""
    small = ["--images", "4000", "--pretrain.epochs", "2", "--finetune.epochs", "4"]
    command = [sys.executable, "-m", "training", "--data", str(ROOT / "data"), "--index-size", "100", *small]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(output: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*command, "--output", output], cwd=tmp_path, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def model_of(process: "subprocess.Popen[str]") -> str:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        return str(json.loads(out.splitlines()[-1])["model"])

    for stage in ("pretrain", "finetune"):
        process = start("killed")
        deadline = time.monotonic() + 120
        while not list((tmp_path / "runs").glob(f"*/{stage}.pt")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not (tmp_path / "killed" / "manifest.json").exists()
    killed = model_of(start("killed"))
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"tensorboard"}
    assert killed == model_of(start("whole"))


def test_a_run_is_voided_by_code_that_makes_weights_and_by_no_other(tmp_path: Path) -> None:
    package = tmp_path / "training"
    shutil.copytree(ROOT / "training", package, ignore=shutil.ignore_patterns("results", "__pycache__"))

    def appended(name: str, text: str) -> bool:
        """Whether appending `text` to file `name` changes the code's hash."""
        before = code_of(package)
        with (package / name).open("a") as file:
            file.write(text)
        return code_of(package) != before

    for name in ("experiments/timing.py", "report.py", "export.py", "evaluate.py", "__main__.py"):
        assert not appended(name, "\nchanged = True\n"), name
    for name in ("stages/finetune.py", "views/digits.py", "loop.py", "data/dataset.py"):
        assert not appended(name, "\n# a comment\n"), name
        assert appended(name, "\nchanged = True\n"), name
