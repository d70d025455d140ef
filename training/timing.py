"""Where a pretraining step's time goes: `python -m training.timing`; the last line on stdout is one JSON document."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from training.augment import random_views
from training.data import load_mnist
from training.loop import Optimisation, seeded_generator
from training.networks import Backbone, ProjectionHead, select_device
from training.pretrain import PretrainSettings, contrastive_loss

REPEATS = 30


def median_ms(action: Callable[[], object], device: torch.device) -> float:
    """Median milliseconds of REPEATS calls, after 3 to warm up."""
    times = []
    for _ in range(REPEATS + 3):
        started = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times[3:])


def main() -> None:
    """Measures the views alone and the whole step, on the settings that `make train-export` uses."""
    device, settings = select_device(), PretrainSettings()
    generator = seeded_generator(0, device)
    images = load_mnist(Path("data"))[0].images[: settings.batch_size].to(device).repeat(2, 1, 1, 1)
    backbone = Backbone()
    model = nn.Sequential(backbone, ProjectionHead(backbone.features)).to(device).to(memory_format=torch.channels_last)
    optimisation = Optimisation(model, learning_rate=1e-3, weight_decay=0.0, steps=REPEATS + 3)

    def step() -> None:
        views = random_views(images, settings.views, generator)
        optimisation.step(contrastive_loss(model, views, settings.temperature))

    views_ms = median_ms(lambda: random_views(images, settings.views, generator), device)
    step_ms = median_ms(step, device)
    share = views_ms / step_ms
    figures = {"views_ms": round(views_ms, 2), "step_ms": round(step_ms, 2), "share": round(share, 3)}
    print(json.dumps({**figures, "n": REPEATS, "device": str(device), "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
