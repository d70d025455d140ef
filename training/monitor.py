"""Progress of a run: a bar for each stage on stderr, and event files for TensorBoard."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.diagnostics import Diagnosis


class Monitor:
    """Shows the stages of one run.

    Args:
        folder: receives TensorBoard's event files, one folder a stage; None writes none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @contextmanager
    def stage(self, name: str, *, steps: int, batch_size: int, done: int = 0) -> "Iterator[Progress]":
        """Context manager around a stage of so many steps, the first `done` of which an earlier start has made."""
        total, initial = steps * batch_size, done * batch_size
        bar = tqdm(total=total, initial=initial, desc=f"{name:<10}", unit=" images", unit_scale=True, mininterval=0.5)
        # Appends after step `done`: TensorBoard hides what a killed run wrote beyond its last checkpoint.
        events = SummaryWriter(str(self._folder / name), purge_step=done + 1) if self._folder else nullcontext()
        with bar, events as writer:
            yield Progress(bar, writer, batch_size, done)


class Progress:
    """One stage's bar: images done, images/s, time left, loss."""

    def __init__(self, bar: "tqdm[NoReturn]", writer: SummaryWriter | None, batch_size: int, done: int) -> None:
        self._bar, self._writer, self._batch_size, self._step = bar, writer, batch_size, done

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
