"""The model card of a bundle (Mitchell et al. 2019, arXiv:1810.03993): what it is, how good, what it is not for."""

from pathlib import Path

from models.manifest import Manifest

CARD = """\
# {model}

Reads one handwritten digit from a 28×28 grey image (ink 255 on background 0, uint8, batch × 1 × 28 × 28) and answers
{outputs}. The service beside it makes such images of what people upload.

| | |
|---|---|
| network | convolutions of stride 2 and pooling, {parameters:,} parameters, ONNX |
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
| taken for no digit (`novelty` above {threshold:.3f}) | {refused} |

![Confusion matrix](report/confusion.png)

The test images that are still wrong, the surest first (150 at most):

![Mistakes](report/mistakes.png)

## What it is not for

It has seen only digits of one collection and names a digit for anything. `novelty`, from 0 to 1, says how surely an
image is no digit. It was fitted to digits and to letters of printed fonts, shapes, scribbles, noise and stripes that a
program drew; its threshold to training images kept from that. Letters that somebody's digits look like (O, I, l, S, Z,
B and others) pass. The probabilities hold for images like those it was tested on. Do not let it decide on its own where
a wrong digit harms somebody.
"""


def write(folder: Path, manifest: Manifest, parameters: int, calibration: float, likelihood: float) -> None:
    """Writes `folder`/README.md; what is not in the manifest is handed over."""
    refused = manifest.metrics["test_refused"]
    score = manifest.metrics["test_accuracy"]
    text = CARD.format(
        model=manifest.model,
        outputs=", ".join(output.name for output in manifest.outputs),
        parameters=parameters,
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
