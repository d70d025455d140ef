"""What every training stage shares: randomness, precision, and the loop with its optimiser, checkpoints and progress.

Knows nothing about what a stage learns: each hands over a module and a loss.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from training.checkpoint import Checkpoint, RandomState, Stateful
from training.diagnostics import Diagnosis
from training.monitor import Monitor

Module = TypeVar("Module", bound=nn.Module)
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


def has_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 natively."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


class StageSettings(Protocol):
    """What loop and optimiser read of a stage's settings."""

    @property
    def batch_size(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...


class Optimisation:
    """AdamW under a one-cycle learning rate (Smith & Topin 2018, arXiv:1708.07120): warm up, anneal to zero."""

    def __init__(self, module: nn.Module, settings: StageSettings, steps: int) -> None:
        rate, decay, warm_up = settings.learning_rate, settings.weight_decay, max(0.1, 2 / (steps + 1))
        self._optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=decay)
        self._schedule = OneCycleLR(self._optimizer, rate, total_steps=steps + 1, pct_start=warm_up)
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
    checkpoint: Checkpoint | None = None
    """Where stages save what they have done, and resume; None keeps nothing."""
    monitor: Monitor = field(default_factory=Monitor)

    @property
    def device(self) -> torch.device:
        """Where images, networks and the generator are."""
        return self.generator.device

    def place(self, module: Module) -> Module:
        """`module`, moved to the run's device; channels last in memory, which makes convolutions faster."""
        return module.to(self.device).to(memory_format=torch.channels_last)

    def forward(self, module: nn.Module, images: Tensor) -> Tensor:
        """`module`'s outputs as float32, computed in bfloat16 where the device has it."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=has_bfloat16(self.device)):
            outputs: Tensor = module(images)
        return outputs.float()


@dataclass
class Stage:
    """The training loop of one stage, which goes on from its last checkpoint."""

    run: Run
    name: str
    """Of the checkpoint, the progress bar and the curves."""
    module: nn.Module
    """What is optimised; in training mode meanwhile, in evaluation mode afterwards."""
    settings: StageSettings
    parts: Mapping[str, Stateful] = field(default_factory=dict)
    """What a checkpoint must hold besides module, optimiser and random state."""
    after_step: Callable[[], None] | None = None
    """Called after each step."""
    diagnose: Callable[[], Diagnosis] | None = None
    """Called after each checkpoint; the monitor shows what it returns."""
    done: int = field(default=0, init=False)
    """Finished epochs."""

    def epochs(self, count: int, images: int, loss: Loss) -> History:
        """Trains on `count` passes over so many images in random order, full batches only; a checkpoint after each.

        Raises:
            ValueError: fewer images than one batch.
        """
        checkpoint, size, generator = self.run.checkpoint, self.settings.batch_size, self.run.generator
        steps = images // size
        if steps == 0:
            raise ValueError(f"{images} images are fewer than one batch of {size}")
        optimisation = Optimisation(self.module.train(), self.settings, count * steps)
        own: dict[str, Stateful] = {"module": self.module, "optimisation": optimisation}
        parts = {**own, "random": RandomState(generator), **self.parts}
        self.done = checkpoint.resume(self.name, parts) if checkpoint else 0
        total, done = count * steps, self.done * steps
        with self.run.monitor.stage(self.name, steps=total, batch_size=size, done=done) as progress:
            while self.done < count:
                order = torch.randperm(images, generator=generator, device=generator.device)
                for batch in torch.split(order, size)[:steps]:
                    progress.update(optimisation.step(loss(batch)))
                    if self.after_step:
                        self.after_step()
                self.done += 1
                if checkpoint:
                    checkpoint.save(self.name, parts, self.done)
                if self.diagnose:
                    progress.tell(f"epoch {self.done}", self.diagnose())
        self.module.eval()
        return optimisation.history
