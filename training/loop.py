"""What every training stage shares: randomness, precision, and the loop with its optimiser, checkpoints and progress.

Knows nothing about what a stage learns: each hands over a module and a loss.
"""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from training.checkpoint import Checkpoint, RandomState, Stateful
from training.diagnostics import Diagnosis
from training.monitor import Monitor

Module = TypeVar("Module", bound=nn.Module)
SAVE_EVERY = 100
"""Steps between checkpoints where batches are drawn with replacement: some seconds."""
Loss = Callable[[Tensor], Tensor]
"""Indices (batch_size,) int64 of a batch's images → the loss to descend on, () float32."""


@dataclass
class History:
    """Loss and learning rate of a stage, one entry a step: the source of the curves in the report."""

    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)


def seeded_generator(seed: int, device: torch.device) -> torch.Generator:
    """A generator on `device`; also seeds torch's global one (initial weights) and asks for deterministic kernels."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or cuBLAS may not be deterministic
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    # Nothing here reads memory that it has not written; filling it first costs a third of a step on a CPU.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.Generator(device=device).manual_seed(seed)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the hardware multiplies it natively (2.9 times faster on a CPU that does), else float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_bfloat16(device))


def has_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 natively."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


class Optimisation:
    """AdamW under a one-cycle learning rate (Smith & Topin 2018, arXiv:1708.07120): warm up, anneal to zero."""

    def __init__(self, module: nn.Module, *, learning_rate: float, weight_decay: float, steps: int) -> None:
        self._optimizer = torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=weight_decay)
        warm_up = max(0.1, 2 / (steps + 1))
        self._schedule = OneCycleLR(self._optimizer, learning_rate, total_steps=steps + 1, pct_start=warm_up)
        self.history = History()

    def step(self, loss: Tensor) -> float:
        """One descent step on `loss`; returns its value. Raises FloatingPointError when it is not finite."""
        value = float(loss.item())
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss became {value}: lower the learning rate")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.history.loss.append(value)
        self.history.learning_rate.append(float(self._schedule.get_last_lr()[0]))
        self._schedule.step()
        return value

    def state_dict(self) -> dict[str, Any]:
        """State of the optimiser and of its schedule, and the history."""
        states = {"optimizer": self._optimizer.state_dict(), "schedule": self._schedule.state_dict()}
        return {**states, "history": vars(self.history)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self.history = History(**state["history"])


@dataclass(frozen=True)
class Run:
    """What the stages of one training share."""

    generator: torch.Generator
    """Source of every random draw but the initial weights; the run computes on its device."""
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    monitor: Monitor = field(default_factory=Monitor)

    @property
    def device(self) -> torch.device:
        """Where images, networks and the generator are."""
        return self.generator.device

    def place(self, module: Module) -> Module:
        """`module`, moved to the run's device; channels last in memory, which makes convolutions faster."""
        return module.to(self.device).to(memory_format=torch.channels_last)

    def forward(self, module: nn.Module, images: Tensor) -> Tensor:
        """`module`'s outputs, computed in the device's precision (`autocast`), as float32."""
        with autocast(self.device):
            outputs: Tensor = module(images)
        return outputs.float()

    def draw(self, count: int, below: int) -> Tensor:
        """`count` random indices in [0, `below`), with replacement: (count,) int64."""
        return torch.randint(below, (count,), generator=self.generator, device=self.device)


class StageSettings(Protocol):
    """What the loop reads of a stage's settings."""

    @property
    def batch_size(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...


class Stage:
    """The training loop of one stage, which goes on from its last checkpoint.

    `done` counts the finished epochs, or groups of `SAVE_EVERY` draws.

    Args:
        name: of the checkpoint, the progress bar and the curves.
        module: what is optimised; in training mode meanwhile, in evaluation mode afterwards.
        parts: what a checkpoint must hold besides module, optimiser and random state.
    """

    def __init__(self, run: Run, name: str, module: nn.Module, settings: StageSettings, **parts: Stateful) -> None:
        self.done = 0
        self._run, self._name, self._module, self._settings, self._parts = run, name, module, settings, parts

    def epochs(
        self,
        count: int,
        images: int,
        loss: Loss,
        *,
        after_step: Callable[[], None] | None = None,
        diagnose: Callable[[], Diagnosis] | None = None,
    ) -> History:
        """Trains on `count` passes over so many images in random order, full batches only; a checkpoint after each.

        Args:
            after_step: called after each step.
            diagnose: called after each epoch; the monitor shows what it returns.

        Raises:
            ValueError: fewer images than one batch.
        """
        size, generator = self._settings.batch_size, self._run.generator
        steps = images // size
        if steps == 0:
            raise ValueError(f"{images} images are fewer than one batch of {size}")

        def shuffled(_steps: int) -> Iterable[Tensor]:
            order = torch.randperm(images, generator=generator, device=generator.device)
            return torch.split(order, size)[:steps]

        return self._train([steps] * count, shuffled, loss, after_step, diagnose)

    def draws(self, steps: int, images: int, loss: Loss) -> History:
        """Trains on `steps` batches drawn with replacement from so many images; a checkpoint every `SAVE_EVERY`."""
        size = self._settings.batch_size
        groups = [min(SAVE_EVERY, steps - start) for start in range(0, steps, SAVE_EVERY)]
        return self._train(groups, lambda count: (self._run.draw(size, images) for _ in range(count)), loss)

    def _train(
        self,
        groups: list[int],
        batches: Callable[[int], Iterable[Tensor]],
        loss: Loss,
        after_step: Callable[[], None] | None = None,
        diagnose: Callable[[], Diagnosis] | None = None,
    ) -> History:
        """`groups` are the numbers of steps between two checkpoints, `batches` makes the batches of so many steps."""
        run, settings, steps = self._run, self._settings, sum(groups)
        optimisation = Optimisation(
            self._module.train(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay, steps=steps
        )
        own: dict[str, Stateful] = {"module": self._module, "optimisation": optimisation}
        checkpoint = run.checkpoint.stage(self._name, {**own, "random": RandomState(run.generator), **self._parts})
        self.done = checkpoint.resume()
        resumed = sum(groups[: self.done])
        with run.monitor.stage(self._name, steps=steps, batch_size=settings.batch_size, done=resumed) as progress:
            for group in groups[self.done :]:
                for batch in batches(group):  # lazily: a loss draws from the same generator
                    progress.update(optimisation.step(loss(batch)))
                    if after_step:
                        after_step()
                self.done += 1
                checkpoint.save(self.done)
                if diagnose:
                    progress.tell(f"epoch {self.done}", diagnose())
        self._module.eval()
        return optimisation.history
