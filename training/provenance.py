"""What a run's weights depend on: settings, device, threads, precision, versions, code."""

import ast
import hashlib
import subprocess
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import onnxruntime
import torch

from training.checkpoint import Checkpoint, run_key
from training.data.dataset import Dataset
from training.loop import has_bfloat16
from training.settings import TrainingSettings

PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "numpy", "scipy")
MAKES_WEIGHTS = (
    "graph", "loop", "losses", "networks", "pipeline", "pseudo_labels", "data/dataset", "views/*", "stages/*",
)  # fmt: skip
"""Modules that the weights of a run depend on."""
RUNS = Path("runs")
"""Checkpoints of unfinished runs: a run that is started again under the same conditions resumes."""
EVENTS = RUNS / "tensorboard"
"""TensorBoard's event files, one folder a run; written only."""


def open_checkpoint(data: Dataset, settings: TrainingSettings, device: torch.device) -> Checkpoint:
    """The checkpoint of this run, written by an earlier start or empty; `data` is on the CPU."""
    return Checkpoint(RUNS / run_key(data, {**plain(settings), **surroundings(device)}))


def conditions(device: torch.device) -> dict[str, object]:
    """What the weights depend on besides settings and versions."""
    precision = "bfloat16" if has_bfloat16(device) else "float32"
    return {"device": str(device), "threads": torch.get_num_threads(), "precision": precision}


def surroundings(device: torch.device) -> dict[str, object]:
    """What must be unchanged for a run to be resumed, besides data and settings."""
    return {**conditions(device), **packages(), "code": code_of(Path(__file__).parent)}


def code_of(package: Path) -> str:
    """Hash of the modules that weights depend on, comments and layout left out."""
    code = hashlib.sha256()
    for path in sorted(path for pattern in MAKES_WEIGHTS for path in package.glob(f"{pattern}.py")):
        code.update(ast.dump(ast.parse(path.read_text(encoding="utf-8"))).encode())
    return code.hexdigest()


def plain(settings: TrainingSettings) -> dict[str, object]:
    """The settings without this machine's paths, as the manifest publishes them."""
    fields = asdict(settings)
    del fields["output"], fields["data"]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}  # as in JSON


def packages() -> dict[str, str]:
    """The versions that the weights or the graph depend on."""
    return {"onnxruntime": onnxruntime.__version__, **{name: version(name) for name in PACKAGES}}


def git_commit() -> str | None:
    """The checked-out commit, marked `-dirty` if files differ from it; None outside a repository or without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # no git here, or no repository
        return None
    return result.stdout.strip()
