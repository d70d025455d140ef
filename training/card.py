"""The model card of a bundle (Mitchell et al. 2019, arXiv:1810.03993): what it is, how good, what it is not for."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.manifest import Manifest

CARD = """\
# {model}

Tells which of {number} classes is on an image prepared as the kind `{kind}`, {width}×{height} pixels (uint8, batch ×
{channels} × {height} × {width}), and answers {outputs}. The service beside it makes such images of what people upload.

| | |
|---|---|
| network | {network}, ONNX |
| made | {created}, seed {seed}, commit {commit} |
| labels | {labels}; everything else was learnt from images alone |
| classes | {classes} |

## How good

{protocol}

| figure of the test set, scored once | value |
|---|---|
| accuracy | {value:.2%} (95 % interval {low:.2%} to {high:.2%}, n = {n:,}) |
| expected calibration error, 15 bins | {calibration:.2%} |
| negative log-likelihood | {likelihood:.4f} |
| taken for none of the classes (`novelty` above {threshold:.3f}) | {refused} |

![Confusion matrix](report/confusion.png)

The test images that are still wrong, the surest first (150 at most):

![Mistakes](report/mistakes.png)

## What it is not for

It has seen only images of one collection and names a class for anything. `novelty`, from 0 to 1, says how surely an
image is of none. It was fitted to images of the collection and to letters of printed fonts, shapes, scribbles, noise
and stripes that a program drew; its threshold to training images kept from that. What resembles a class to a person
too, such as some letters, passes. The probabilities hold for images like those it was tested on. Do not let it decide
on its own where a wrong class harms somebody.
"""


def write(folder: Path, manifest: Manifest, calibration: float, likelihood: float) -> None:
    """Writes `folder`/README.md; what is not in the manifest is handed over."""
    refused = manifest.metrics["test_refused"]
    score = manifest.metrics["test_accuracy"]
    text = CARD.format(
        model=manifest.model,
        number=len(manifest.class_names),
        **asdict(manifest.input),
        outputs=", ".join(output.name for output in manifest.outputs),
        network=", ".join(f"{key} {_plain(value)}" for key, value in manifest.network.items()),
        created=manifest.created[:10],
        seed=manifest.training["seed"],
        commit=(manifest.git_commit or "unknown")[:12],
        labels=manifest.training["labels"],
        classes=", ".join(manifest.class_names),
        protocol=manifest.protocol,
        value=score.value,
        low=score.low,
        high=score.high,
        n=score.n,
        calibration=calibration,
        likelihood=likelihood,
        threshold=manifest.novelty_threshold,
        refused=f"{refused.value:.2%} (95 % interval {refused.low:.2%} to {refused.high:.2%})",
    )
    (folder / "README.md").write_text(text)


def _plain(value: Any) -> str:
    """As in "45,210" and "16/16/32"."""
    if isinstance(value, int):
        return f"{value:,}"
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)
