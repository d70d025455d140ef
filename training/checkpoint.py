"""Where a run stands, on disk: killed at any moment and started again, it goes on and ends with the same weights.

Knows nothing about what the stages do; each hands over its parts, all of which can save and load their state.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from training.data.dataset import Dataset


class Stateful(Protocol):
    """A part of a stage: a module, an optimisation, …"""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class RandomState:
    """A generator as a part of a stage."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def state_dict(self) -> dict[str, Any]:
        """Its state."""
        return {"state": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Makes it go on from `state`."""
        self._generator.set_state(state["state"].cpu())


class Checkpoint:
    """The folder of one run; one file a stage.

    Args:
        folder: None keeps nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._shared: dict[str, Path] = {}

    @property
    def name(self) -> str:
        """The run's, as its folder is called."""
        return self._folder.name if self._folder else "unnamed"

    def stage(self, name: str, parts: Mapping[str, Stateful]) -> "StageCheckpoint":
        """The file of one stage."""
        folder = self._shared.get(name, self._folder)
        return StageCheckpoint(folder / f"{name}.pt" if folder else None, parts)

    def share(self, name: str, folder: Path) -> None:
        """Keeps the file of stage `name` in `folder`, where other runs find it; `clear` leaves it there."""
        self._shared[name] = folder

    def clear(self) -> None:
        """Forgets the run: it is finished."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class StageCheckpoint:
    """How much of a stage is done, and its parts at that moment."""

    def __init__(self, path: Path | None, parts: Mapping[str, Stateful]) -> None:
        self._path = path
        self._parts = parts

    def resume(self) -> int:
        """Loads the parts, if there is something to load; how much was done: 0 on a first start."""
        if self._path is None or not self._path.exists():
            return 0
        saved = torch.load(self._path, map_location="cpu", weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(saved["parts"][name])
        return int(saved["done"])

    def save(self, done: int) -> None:
        """Writes the parts, all or nothing."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        torch.save({"done": done, "parts": {name: part.state_dict() for name, part in self._parts.items()}}, partial)
        partial.replace(self._path)


def run_key(data: Dataset, conditions: Mapping[str, object]) -> str:
    """Names a run by all that its weights depend on: data, and settings, device, threads, versions in `conditions`."""
    digest = hashlib.sha256(repr(sorted(conditions.items())).encode())
    digest.update(data.images.numpy().tobytes())
    digest.update(data.labels.numpy().tobytes())
    return digest.hexdigest()[:16]
