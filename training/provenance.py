"""What a run's weights depend on: settings, device, threads, precision, versions, code."""

import ast
import hashlib
import subprocess
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import onnxruntime
import torch

from training.checkpoint import Checkpoint, run_key
from training.data.dataset import UNLABELLED, Dataset
from training.loop import has_bfloat16
from training.settings import TrainingSettings
from training.stages.distill import DistillSettings

PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "numpy", "scipy")
MAKES_WEIGHTS = (
    "loop.py",
    "losses.py",
    "networks.py",
    "pipeline.py",
    "pseudo_labels.py",
    "data/dataset.py",
    "views/*.py",
    "stages/*.py",
)
"""Modules that the weights of a run depend on."""
RUNS = Path("runs")
"""Where unfinished runs are kept: started again under the same conditions, one goes on where it was stopped."""
EVENTS = RUNS / "tensorboard"
"""What TensorBoard shows, one folder a run; never read again here."""


def open_checkpoint(data: Dataset, settings: TrainingSettings, device: torch.device) -> Checkpoint:
    """Where this run stands, if it was started before; `data` is on the CPU."""
    return Checkpoint(RUNS / run_key(data, {**plain(settings), **_surroundings(device)}))


def pretraining_folder(data: Dataset, settings: TrainingSettings, device: torch.device) -> Path:
    """Where runs that differ in what comes after pretraining can share it: it sees no labels."""
    unlabelled = replace(data, labels=torch.full_like(data.labels, UNLABELLED))
    depends = {"seed": settings.seed, **asdict(settings.pretrain), **_surroundings(device)}
    return RUNS / f"pretrained-{run_key(unlabelled, depends)}"


def teacher_folder(data: Dataset, settings: TrainingSettings, device: torch.device) -> Path:
    """Where runs that differ in their student alone can share its teacher."""
    depends = {**plain(replace(settings, distill=DistillSettings())), **_surroundings(device)}
    return RUNS / f"teacher-{run_key(data, depends)}"


def conditions(device: torch.device) -> dict[str, object]:
    """What the weights depend on besides settings and versions."""
    precision = "bfloat16" if has_bfloat16(device) else "float32"
    return {"device": str(device), "threads": torch.get_num_threads(), "precision": precision}


def _surroundings(device: torch.device) -> dict[str, object]:
    """What a half-finished run must find unchanged, besides data and settings: also the code that makes its weights."""
    return {**conditions(device), **packages(), "code": code_of(Path(__file__).parent)}


def code_of(package: Path) -> str:
    """Hash of the modules that weights depend on, comments and layout left out."""
    code = hashlib.sha256()
    for path in sorted(path for pattern in MAKES_WEIGHTS for path in package.glob(pattern)):
        code.update(ast.dump(ast.parse(path.read_text(encoding="utf-8"))).encode())
    return code.hexdigest()


def plain(settings: TrainingSettings) -> dict[str, object]:
    """The settings, less where files lay on this machine, which is nobody's business."""
    fields = asdict(settings)
    del fields["output"], fields["data"]
    return fields


def packages() -> dict[str, str]:
    """The versions that the weights or the graph depend on."""
    return {"onnxruntime": onnxruntime.__version__, **{name: version(name) for name in PACKAGES}}


def git_commit() -> str | None:
    """The commit of this code, marked where it was changed since; None where that is not known."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # no git here, or no repository
        return None
    return result.stdout.strip()
