"""The small pictures in a bundle's index file. Knows no store."""

import hashlib
import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.pictures.png import as_png
from serving.errors import StoreFailure

CHANNELS = ((), (3,))
"""Last dimensions of gray and coloured pictures."""


class Thumbnails:
    """Read when the first one is asked for, and kept: most services are asked for none.

    Args:
        path: the bundle's index file; None where there is none.
        sha256: of the file, hexadecimal: it may have been replaced by then.
        ids: names of the pictures, in order.
    """

    def __init__(self, path: Path | None, sha256: str | None, ids: Sequence[str]) -> None:
        self._path, self._sha256 = path, sha256
        self._row = {own_id: row for row, own_id in enumerate(ids)}
        self._pictures: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()

    def png(self, own_id: str) -> bytes | None:
        """A PNG file of what a model saw of one of the bundle's images; None where there is none.

        Blocks while the file is read. Raises StoreFailure where it was replaced, or cannot be read.
        """
        row = self._row.get(own_id)
        if row is None or self._path is None:
            return None
        with self._lock:
            if self._pictures is None:
                self._pictures = self._read(self._path)
        return as_png(self._pictures[row]) if len(self._pictures) else None

    def _read(self, path: Path) -> NDArray[np.uint8]:
        """(n, height, width) or (n, height, width, 3); (0,) where the file has none that can be shown."""
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != self._sha256:
                raise StoreFailure("the bundle's index file was replaced after the service had started")
            with np.load(io.BytesIO(content)) as arrays:
                pictures: NDArray[Any] = arrays["thumbnails"] if "thumbnails" in arrays else np.zeros(0, np.uint8)
        except (OSError, ValueError, BadZipFile) as error:
            raise StoreFailure("the bundle's thumbnails cannot be read") from error
        fits = pictures.dtype == np.uint8 and len(pictures) == len(self._row) and pictures.shape[3:] in CHANNELS
        return pictures if fits and pictures.ndim > 2 else np.zeros(0, np.uint8)
