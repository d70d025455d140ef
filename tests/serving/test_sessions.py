"""The code that CUDA runs, here on the CPU; tests/gpu asks the same of CUDA."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import onnxruntime
import pytest

from models.manifest import MODEL, Manifest
from serving.model import OnnxModel, load_model
from serving.sessions import CPU, Buckets, open_session
from tests.agreement import compare_every_batch_size
from tests.conftest import BUNDLE, ROOT, Digits

open_on_cpu = partial(open_session, BUNDLE / MODEL, [CPU], 1)


@pytest.mark.parametrize("largest", [1, 6, 64])
def test_every_batch_is_answered_as_without_padding(digits: Digits, largest: int) -> None:
    padded = OnnxModel(Manifest.load(BUNDLE), CPU, Buckets(open_on_cpu, largest, "cpu").run)
    compare_every_batch_size(padded, load_model(BUNDLE, "cpu", 1), digits[0][:, None], largest, atol=1e-5)


@pytest.mark.parametrize(("largest", "sizes"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_sizes_are_powers_of_two_and_the_largest(largest: int, sizes: list[int]) -> None:
    opened = []

    def open_and_note(size: int) -> onnxruntime.InferenceSession:
        opened.append(size)
        return open_on_cpu(size)

    Buckets(open_and_note, largest, "cpu")
    assert opened == sizes


def test_the_arguments_are_those_of_a_session(digits: Digits) -> None:
    """Any of the outputs, in the order asked for."""
    inputs = {"image": digits[0][:3, None]}
    logits, embeddings = Buckets(open_on_cpu, 4, "cpu").run(["logits", "embedding"], inputs)
    assert (logits.shape, embeddings.shape) == ((3, 10), (3, 64))
    for ours, theirs in zip((logits, embeddings), open_on_cpu(3).run(["logits", "embedding"], inputs), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("package", ["serving.sessions", "serving.app"])
def test_onnxruntime_keeps_no_device_id(tmp_path: Path, package: str) -> None:
    """Its telemetry writes one below the home folder when it starts."""
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", f"import {package}"], check=True, env=environment, cwd=ROOT)
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]
