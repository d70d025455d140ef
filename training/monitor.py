"""Progress of a run: a bar for each stage on stderr, and event files for TensorBoard."""

import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

from training.diagnostics import Diagnosis

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Monitor:
    """Shows the stages of one run.

    Args:
        folder: receives TensorBoard's event files, one folder a stage; None writes none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def stage(self, name: str, *, steps: int, batch_size: int, done: int = 0) -> "Progress":
        """Context manager around a stage of so many steps, the first `done` of which an earlier start has made."""
        events = self._folder / name if self._folder else None
        return Progress(name, steps, batch_size, done, events)


class Progress:
    """One stage's bar: images done, images/s, time left, loss."""

    def __init__(self, name: str, steps: int, batch_size: int, done: int, events: Path | None) -> None:
        self._step, self._batch_size = done, batch_size
        self._writer = _writer(events, done) if events else None
        self._bar = tqdm(
            total=steps * batch_size,
            initial=done * batch_size,
            desc=f"{name:<10}",
            unit=" images",
            unit_scale=True,
            file=sys.stderr,
            mininterval=0.5,
        )

    def __enter__(self) -> "Progress":
        return self

    def update(self, loss: float) -> None:
        """Counts one step."""
        self._step += 1
        self._bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        self._bar.update(self._batch_size)
        if self._writer:
            self._writer.add_scalar("loss", loss, self._step)

    def tell(self, when: str, diagnosis: Diagnosis) -> None:
        """Prints the diagnosis above the bar, and its warning if there is one."""
        self._bar.write(f"{when}: {diagnosis}", file=sys.stderr)
        if warning := diagnosis.warning():
            self._bar.write(f"WARNING: {warning}", file=sys.stderr)
        if self._writer:
            for name, value in asdict(diagnosis).items():
                self._writer.add_scalar(name, value, self._step)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._writer:
            self._writer.close()


def _writer(folder: Path, done: int) -> "SummaryWriter":
    """Appends after step `done`; TensorBoard hides what a killed run wrote beyond its last checkpoint."""
    from torch.utils.tensorboard import SummaryWriter  # imported here: it takes a second

    return SummaryWriter(str(folder), purge_step=done + 1)
