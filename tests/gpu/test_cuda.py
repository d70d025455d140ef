"""What only a GPU can show; counted as skipped elsewhere."""

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.model import CUDA, cuda_devices, load_model
from tests.conftest import BUNDLE

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not cuda_devices(), reason="no CUDA device")]


def test_the_session_runs_on_cuda_and_agrees_with_the_cpu(digits: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    images = digits[0][:, None]
    on_gpu, on_cpu = load_model(BUNDLE, "cuda", 1), load_model(BUNDLE, "cpu", 1)
    assert on_gpu.provider == load_model(BUNDLE, "auto", 1).provider == CUDA
    for one, other in zip(on_gpu.run_batch(images), on_cpu.run_batch(images), strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-3)
        np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-3)
