"""Where a pretraining step's time goes: `python -m training.experiments.timing`.

The last line on stdout is one JSON document.
"""

import json
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from training.data import mnist
from training.loop import Optimisation, Run, seeded_generator
from training.losses import nt_xent_loss
from training.networks import Backbone, ProjectionHead, select_device
from training.settings import TrainingSettings
from training.views.digits import random_views

REPEATS = 50


def main() -> None:
    """Measures steps on the settings that `make train-export` uses, and the making of views within each of them."""
    device, settings = select_device(), TrainingSettings().pretrain
    run = Run(seeded_generator(0, device))
    data = mnist.load(Path("data"))[0]
    images = data.images[: settings.batch_size].to(device)
    backbone = Backbone(data.image_shape, TrainingSettings().widths)
    model = run.place(nn.Sequential(backbone, ProjectionHead(backbone.dim)))
    optimisation = Optimisation(model, settings, REPEATS + 5)

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() * 1e3

    times = []
    for _ in range(REPEATS + 5):
        started = now()
        views = random_views(images.repeat(2, 1, 1, 1), settings.views, run.generator)
        made = now()
        z0, z1 = run.forward(model, views).chunk(2)
        optimisation.step(nt_xent_loss(z0, z1, settings.temperature))
        times.append((made - started, now() - started))
    views_ms, step_ms = (statistics.median(part) for part in zip(*times[5:], strict=True))
    figures = {"views_ms": round(views_ms, 2), "step_ms": round(step_ms, 2), "share": round(views_ms / step_ms, 3)}
    print(json.dumps({**figures, "n": REPEATS, "device": str(device), "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
