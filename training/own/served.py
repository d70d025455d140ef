"""The two networks that can be served, each written as a graph: the student, or the encoder with a linear head."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.manifest import BundleError, InputSpec
from models.pictures.preparation import as_input
from training import export
from training.encoders import Encoder
from training.networks import Classifier, NeighbourNovelty, ServedModel
from training.own.calibration import temperature
from training.own.encoder_head import EncoderHead, answers_by, fit_head, with_head
from training.own.features import encoded
from training.own.made import Served
from training.own.pictures import Pictures
from training.own.pipeline import Features, SoftLabels, Student, Work, input_of
from training.soft_labels import Predicted

BANK = 1000
"""Images that novelty is measured by, at most."""
PARITY_SAMPLE = 200
"""Pictures on which the file must answer as the network did."""
BATCH_SIZE = 500
TIMED = 20
"""Pictures, one after the other, whose time is measured."""


def divided(pictures: Pictures, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training images for the bank of novelty, and those that its threshold is measured on."""
    order = np.random.default_rng(seed).permutation(pictures.training)
    size = min(BANK, max(5, len(order) * 4 // 5))
    return order[:size], order[size:] if len(order) > size else order


def serve_student(
    path: Path, student: Student, work: Work, features: Features, soft: SoftLabels, images: Tensor
) -> Served:
    """Writes the student; `images` are what it sees of all pictures."""
    classifier = student.classifier.cpu().eval()
    said = _logits_of(classifier, images[torch.from_numpy(work.pictures.training)])
    scale = temperature(said, soft.accuracy, len(soft.chosen.labels))
    _cool(classifier.head, scale)
    bank, _ = divided(work.pictures, work.settings.seed)
    model = ServedModel(classifier, NeighbourNovelty(embeddings_of(classifier, images[torch.from_numpy(bank)])))
    spec = input_of(work, features.resize)
    export.write_onnx(model, path, spec.shape)
    export.parity(model, path, images[:PARITY_SAMPLE].numpy())
    network = export.described_network(model, work.settings.widths)
    return Served(spec, export.run_onnx(path, images.numpy()), network, student.fold, student.history, scale)


@torch.no_grad()
def _logits_of(classifier: Classifier, images: Tensor) -> NDArray[np.float32]:
    """(n, classes)."""
    return torch.cat([classifier(batch) for batch in torch.split(images, BATCH_SIZE)]).numpy()


@torch.no_grad()
def _cool(head: nn.Module, scale: float | None) -> None:
    """Divides the logits that a linear head gives: its weights and its biases."""
    for parameter in head.parameters():
        parameter.div_(scale or 1)


@torch.no_grad()
def embeddings_of(classifier: Classifier, images: Tensor) -> Tensor:
    """(n, dim) unit vectors."""
    backbone = classifier.backbone
    parts = [backbone.features(backbone.maps(batch)) for batch in torch.split(images, BATCH_SIZE)]
    return F.normalize(torch.cat(parts), dim=1, eps=1e-6)


def serve_encoder(path: Path, encoder: Encoder, work: Work, features: Features, soft: SoftLabels) -> Served:
    """Writes the encoder with a linear head."""
    pictures, spec = work.pictures, encoder.input(features.resize)
    every = encoded(pictures, encoder, features.resize, range(len(pictures)))
    head = head_of(work, features, soft)
    scale = temperature(answers_by(head, features.values).logits, soft.accuracy, len(soft.chosen.labels))
    _cool(head, scale)
    path.write_bytes(with_head(encoder, head, every.shape[1]).SerializeToString())
    answers = answers_by(head, every)
    _check_parity(path, pictures, spec, answers)
    fold = None if len(pictures.test) else hidden_by_head(work, features, soft)
    network = {
        "name": "encoder with a linear head",
        "widths": [],
        "features": every.shape[1],
        "parameters": sum(one.numel() for one in head.parameters()),
    }
    return Served(spec, answers, network, fold, {}, scale)


def encoder_tested(encoder: Encoder, work: Work, features: Features, soft: SoftLabels) -> Predicted:
    """What the encoder with a linear head takes the test images for."""
    test = work.pictures.test
    vectors = encoded(work.pictures, encoder, features.resize, test.tolist())
    return Predicted(work.pictures.labels[test], answers_by(head_of(work, features, soft), vectors).predicted)


def _check_parity(path: Path, pictures: Pictures, spec: InputSpec, answers: export.Answers) -> None:
    """Raises BundleError where the file answers otherwise than its parts did one after the other."""
    for places, pixels in pictures.batches(spec, 32, range(min(PARITY_SAMPLE, len(pictures)))):
        actual = export.run_onnx(path, as_input(list(pixels)))
        difference = max(float(np.abs(mine[places] - one).max()) for mine, one in zip(answers, actual, strict=True))
        if not difference <= export.PARITY_TOLERANCE:
            raise BundleError(f"{path}: differs from the encoder by {difference:.2e} > {export.PARITY_TOLERANCE}")


def head_of(work: Work, features: Features, soft: SoftLabels) -> EncoderHead:
    """A linear head that has learnt the soft labels of the images to train on."""
    bank, _ = divided(work.pictures, work.settings.seed)
    places = np.searchsorted(work.pictures.training, bank)
    return fit_head(features.values, soft.values, work.settings.soft_labels.strength, places)


def hidden_by_head(work: Work, features: Features, soft: SoftLabels) -> Predicted:
    """What linear heads take the labels' images for, each fold's by one that nothing told its labels."""
    found, answers = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for fold, shown in soft.labeller.cuts(work.labels):
        head = fit_head(features.values, soft.without(shown), work.settings.soft_labels.strength, fold)
        answers.append(answers_by(head, features.values[fold]).predicted)
        found.append(work.labels[fold])
    return Predicted(np.concatenate(found), np.concatenate(answers))


def cost_ms(path: Path, shape: Sequence[int]) -> float:
    """Median milliseconds that one picture takes onnxruntime on one core of this machine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    blank, spent = np.zeros((1, *shape), np.uint8), []
    for _ in range(TIMED):
        started = time.perf_counter()
        session.run(None, {session.get_inputs()[0].name: blank})
        spent.append(time.perf_counter() - started)
    return float(np.median(spent) * 1000)
