"""Training on a GPU; counted as skipped elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.manifest import MODEL
from tests.conftest import Digits
from training.data.dataset import Dataset, forget_labels
from training.export import parity, write_onnx
from training.networks import NoveltyHead, ServedModel
from training.pipeline import train
from training.settings import TrainingSettings
from training.stages.finetune import FinetuneSettings
from training.stages.pretrain import PretrainSettings

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
SMALL = TrainingSettings(
    pretrain=PretrainSettings(epochs=3, batch_size=128),
    finetune=FinetuneSettings(epochs=3, batch_size=96),
)


def test_training_is_bitwise_repeatable_and_exports(digits: Digits, tmp_path: Path) -> None:
    images = torch.from_numpy(digits[0]).unsqueeze(1)
    data = Dataset(images, torch.from_numpy(digits[1].astype(np.int64)), tuple("0123456789"), "digits", "digit")
    training = forget_labels(data, keep=100).to(torch.device("cuda"))
    one, again = train(training, SMALL)[0], train(training, SMALL)[0]
    for ours, theirs in zip(one.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    served = ServedModel(one, NoveltyHead(288, 64, torch.Generator()))
    write_onnx(served, tmp_path / MODEL, data.image_shape)
    assert parity(served, tmp_path / MODEL, images.numpy()) <= 1e-4
