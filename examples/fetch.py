"""Embeddings from a running service, for a search of your own; needs numpy alone.

Where the service asks for a key, the variable API_KEY holds one.
"""

import io
import os
import urllib.request
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAX_FILES = 256
"""Images that the service takes in one request."""


def ask(url: str, body: bytes | None = None, **headers: str) -> bytes:
    """What the service answers; raises urllib.error.HTTPError."""
    if key := os.environ.get("API_KEY"):
        headers["X-API-Key"] = key
    request = urllib.request.Request(url, body, headers)  # noqa: S310 (the user's own address)
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        content: bytes = response.read()
    return content


def embeddings(service: str) -> tuple[list[str], NDArray[np.float32]]:
    """Ids and unit vectors, (n, dim), of everything that the service searches."""
    content = ask(f"{service}/index/embeddings", Accept="application/x-npz")  # with x-npy the vectors alone
    with np.load(io.BytesIO(content)) as arrays:
        return arrays["ids"].tolist(), arrays["embeddings"]


def embed(service: str, paths: list[Path]) -> NDArray[np.float32]:
    """Unit vectors, (n, dim), of image files."""
    found = [_embed(service, paths[start : start + MAX_FILES]) for start in range(0, len(paths), MAX_FILES)]
    return np.concatenate(found)


def _embed(service: str, paths: list[Path]) -> NDArray[np.float32]:
    boundary = uuid.uuid4().hex
    part = b'--%b\r\nContent-Disposition: form-data; name="files"; filename="%d"\r\n\r\n%b\r\n'
    parts = [part % (boundary.encode(), number, path.read_bytes()) for number, path in enumerate(paths)]
    body = b"".join(parts) + b"--%b--\r\n" % boundary.encode()
    kind = f"multipart/form-data; boundary={boundary}"
    content = ask(f"{service}/embed/batch", body, Accept="application/x-npy", **{"Content-Type": kind})
    vectors: NDArray[np.float32] = np.load(io.BytesIO(content))
    return vectors
