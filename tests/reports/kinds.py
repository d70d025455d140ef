"""How a bundle does on uploads and on pictures of no digit: `python -m tests.reports.kinds`.

Prints the tables of training/README.md and training/experiments/LOG.md. Digits are the 1,000 test digits of
examples/digits.npz or, to choose between recipes, 1,000 that have development labels.
"""

from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from models.pictures.decode import open_image
from models.pictures.preparation import DIGIT_INPUT, preparation
from serving.model import OnnxModel, Prediction, load_model
from tests.conftest import BUNDLE, ROOT
from tests.pictures import forms, nondigits, realistic, unseen
from tests.pictures.uploads import encoded
from training.data import mnist

UPLOADS = 100
"""Of each kind."""
PICTURES = 1000
"""That are no digit, of each kind."""
MAX_PIXELS = 25_000_000
PREPARE = preparation(DIGIT_INPUT).prepare


def ask(model: OnnxModel, images: NDArray[np.uint8]) -> list[Prediction]:
    """Predictions of (n, 28, 28) uint8."""
    return [one for some in np.array_split(images, len(images) // 50 or 1) for one in model.run_batch(some[:, None])]


def upload_row(model: OnnxModel, title: str, uploads: list[bytes], labels: NDArray[np.int64]) -> str:
    """How many are named right, and how many are taken for no digit."""
    answers = ask(model, np.stack([PREPARE(open_image(upload, MAX_PIXELS)).pixels for upload in uploads]))
    right = np.mean([one.class_index == label for one, label in zip(answers, labels, strict=True)])
    refused = np.mean([not one.known for one in answers])
    return f"| {title} | {len(uploads)} | {right:.1%} | {refused:.1%} |".replace("%", " %")


def main(bundle: Path = BUNDLE, development: bool = False) -> None:
    """Both tables, in Markdown.

    Args:
        bundle: the folder.
        development: make the uploads of training images 50,000 to 50,999.
    """
    model = load_model(bundle, "cpu", 1)
    if development:
        data = mnist.load(ROOT / "data")[0].subset(torch.arange(50_000, 51_000))
        digits, labels = data.images[:, 0].numpy(), data.labels.numpy()
    else:
        with np.load(ROOT / "examples" / "digits.npz") as arrays:
            digits, labels = arrays["images"], arrays["labels"].astype(np.int64)
    print("| uploads | n | named right | taken for no digit |\n|---|---|---|---|")
    for prefix, kinds in (("", realistic.KINDS), ("not developed with: ", unseen.UNSEEN)):
        for number, (name, kind) in enumerate(kinds.items()):
            random = np.random.default_rng(number)
            chosen = random.choice(len(digits), UPLOADS, replace=False)
            uploads = [kind(digits[one], random) for one in chosen]
            print(upload_row(model, prefix + name.replace("_", " "), uploads, labels[chosen]))
    pixels, truth = load_digits(return_X_y=True)
    small = np.clip(pixels * 16, 0, 255).astype(np.uint8).reshape(-1, 8, 8)
    print(upload_row(model, "scikit-learn's 8×8 digits", [encoded(one) for one in small], truth))
    for number, (name, form) in enumerate(forms.FORMS.items()):
        random = np.random.default_rng(number)
        changed = [encoded(form(one, random)) for one in digits]
        print(upload_row(model, f"28×28, {name.replace('_', ' ')}", changed, labels))
    print(upload_row(model, "the test digits as they are", [encoded(one) for one in digits], labels))

    print("\n| pictures of no digit | n | area under the ROC curve | told |\n|---|---|---|---|")
    usual = [one.novelty for one in ask(model, digits)]
    for name in nondigits.KINDS:
        answers = ask(model, nondigits.pictures(name, PICTURES)[:, 0])
        area = roc_auc_score(np.repeat([0, 1], [len(usual), len(answers)]), [*usual, *(one.novelty for one in answers)])
        told = np.mean([not one.known for one in answers])
        print(f"| {name} | {len(answers)} | {area:.4f} | {told:.1%} |".replace("%", " %"))


if __name__ == "__main__":
    tyro.cli(main, prog="python -m tests.reports.kinds")
