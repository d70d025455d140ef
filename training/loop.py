"""What every training stage shares: seeded randomness, precision, one optimisation step and history."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR


@dataclass
class History:
    """What a stage saw, one entry a step: the source of the curves in the report."""

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
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(self._parameters, lr=learning_rate, weight_decay=weight_decay)
        self._schedule: LRScheduler = OneCycleLR(
            self._optimizer, max_lr=learning_rate, total_steps=steps + 1, pct_start=max(0.1, 2 / (steps + 1))
        )
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
        """All that the next step depends on, besides the weights, and what was seen so far."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "loss": self.history.loss,
            "learning_rate": self.history.learning_rate,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state`."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self.history.loss[:] = state["loss"]
        self.history.learning_rate[:] = state["learning_rate"]


def steps_an_epoch(images: int, batch_size: int) -> int:
    """Batches in one pass over so many images, full ones only. Raises ValueError when there is none."""
    if images < batch_size:
        raise ValueError(f"{images} images are fewer than one batch of {batch_size}")
    return images // batch_size


def shuffled_batches(images: int, batch_size: int, generator: torch.Generator) -> Sequence[Tensor]:
    """One epoch in random order: the indices (batch_size,) int64 of each full batch."""
    order = torch.randperm(images, generator=generator, device=generator.device)
    return torch.split(order, batch_size)[: images // batch_size]
