"""Asks a running service about files, as a client would, and compares its answers with training's."""

import base64
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.manifest import BundleError
from models.names import shown
from training.data.collection import Collection

TOLERANCE = 1e-5
"""Largest difference of a probability or a number of an embedding: batches of other sizes sum in another order."""
TIMEOUT_S = 60
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks this machine itself, whatever proxy there is."""
LIMITS = (
    *("--max-upload-bytes", "100000000", "--max-image-pixels", "120000000"),
    *("--request-timeout-s", "60", "--hang-timeout-s", "120"),
)
"""What training reads; a service takes less unless told."""


@dataclass(frozen=True)
class Asked:
    """One file, and what is to be answered."""

    name: str
    pixels: NDArray[np.uint8]
    """(height, width) or (height, width, 3): what the model sees of it."""
    label: str
    probabilities: NDArray[np.float32]
    """(classes,)"""


def ask_service(bundle: Path, collection: Collection, files: Iterable[Asked], count: int) -> list[str]:
    """Starts a service on the bundle, posts each of `count` files, and returns what differs, a line for each file.

    Raises BundleError where no service can be started.
    """
    wrong = []
    with _running(bundle) as url, tqdm(total=count, desc="verifying", unit=" files", mininterval=0.5) as bar:
        for file in files:
            if difference := _difference(url, collection.read(file.name), file):
                wrong.append(f"{shown(file.name)}: {difference}")
            bar.update()
    return wrong


def ask_for_embeddings(bundle: Path, collection: Collection, files: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """The same for the embeddings (dim,) of files, by their names."""
    wrong = []
    with _running(bundle) as url:
        for name, embedding in files.items():
            answer = _posted(f"{url}/embed", collection.read(name))
            far = float(np.abs(np.array(answer["embedding"], np.float32) - embedding).max())
            if far > TOLERANCE:
                wrong.append(f"{shown(name)}: a number of the embedding differs by {far:.1e}")
    return wrong


@contextmanager
def _running(bundle: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "serving", "--port", "0", "--provider", "cpu", "--model-dir", str(bundle), *LIMITS]
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("FEWLABEL_")}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield _address(process.stderr)
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stderr.close()


def _address(log: IO[str]) -> str:
    said = []
    for line in log:
        said.append(line)
        if found := re.search(r"running on (http://\S+)", line):
            threading.Thread(target=lambda: [None for _ in log], daemon=True).start()
            return found[1]
    text = "".join(said[-5:])
    raise BundleError(f"the service does not start on the new bundle; it takes the extra `serve`:\n{text}")


def _difference(url: str, content: bytes, file: Asked) -> str | None:
    """What the service answers otherwise; None where all is equal."""
    try:
        answer = _posted(f"{url}/predict?debug=true", content)
    except urllib.error.HTTPError as error:
        return f"status {error.code}: {error.read().decode(errors='replace')[:300]}"
    png = base64.b64decode(answer["seen"].partition(",")[2])
    seen: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    seen = seen if seen.ndim == 2 else seen[..., ::-1]
    if not np.array_equal(seen, file.pixels):
        return "the model sees other pixels"
    far = float(np.abs(np.array(answer["probabilities"], np.float32) - file.probabilities).max())
    if far > TOLERANCE:
        return f"a probability differs by {far:.1e}"
    second, first = np.sort(file.probabilities)[-2:]
    if answer["label"] != file.label and first - second > 2 * TOLERANCE:
        return f"label {answer['label']!r}, not {file.label!r}"
    return None


def _posted(url: str, content: bytes) -> dict[str, Any]:
    request = urllib.request.Request(url, content, {"Content-Type": "application/octet-stream"})  # noqa: S310 (our own)
    with DIRECT.open(request, timeout=TIMEOUT_S) as response:
        answer: dict[str, Any] = json.load(response)
        return answer
