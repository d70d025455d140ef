"""What only a GPU can show; counted as skipped elsewhere. `python -m tests.reports.throughput` tells how fast it is."""

import json
from pathlib import Path

import onnxruntime
import pytest

from models.manifest import MODEL
from serving.model import ANSWERED, load_model
from serving.sessions import CPU, CUDA, CUDA_OPTIONS, Bucket, cuda_devices
from tests.agreement import compare_every_batch_size
from tests.conftest import BUNDLE, Digits

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not cuda_devices(), reason="no CUDA device")]


def test_cuda_is_taken_and_agrees_with_the_cpu(digits: Digits) -> None:
    on_gpu, on_cpu = load_model(BUNDLE, "cuda", 1), load_model(BUNDLE, "cpu", 1)
    assert on_gpu.provider == load_model(BUNDLE, "auto", 1).provider == CUDA
    compare_every_batch_size(on_gpu, on_cpu, digits[0][:, None], 64, atol=1e-3)


def test_the_arithmetic_runs_on_cuda(digits: Digits, tmp_path: Path) -> None:
    """By onnxruntime's profile: a session on CUDA may leave any node to the CPU."""
    onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    options.add_free_dimension_override_by_name("batch", 4)
    session = onnxruntime.InferenceSession(BUNDLE / MODEL, options, providers=[(CUDA, CUDA_OPTIONS), CPU])
    Bucket(session, "cuda").run(ANSWERED, digits[0][:3, None])
    events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [event["args"] for event in events if event["cat"] == "Node"]
    heavy = [one for one in nodes if any(word in one["op_name"] for word in ("Conv", "Gemm", "MatMul"))]
    assert heavy
    assert {one["provider"] for one in heavy} == {CUDA}
