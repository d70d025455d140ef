"""The program of a process that reads pictures: `python -m training.data.child`, a child of the training.

Whatever a file makes of a decoder stays here. Keys of files come in on standard input, some at a time; what is known of
them, and their pixels, goes out on standard output. A message is its length (4 bytes, little-endian) and JSON.
"""

import hashlib
import json
import os
import signal
import struct
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from PIL import Image

from models.manifest import InputSpec
from models.names import shown
from models.pictures.decode import FORMATS, open_image, to_picture
from models.pictures.errors import NotAnImage, PictureError
from models.pictures.limits import limit_memory, open_bounded
from models.pictures.preparation import RESIZES, preparation, resized
from training.data.collection import reader
from training.data.errors import DataError
from training.data.folder import Reader
from training.data.info import KNOWN, FileInfo, unread

LENGTH = struct.Struct("<I")
MAX_PIXELS = 120_000_000
"""Of one picture: cameras of phones have up to 108 million. At `BYTES_PER_PIXEL` a process needs 2.4 GB for it."""
BYTES_PER_PIXEL = 20
"""Memory for a picture of as many pixels as are allowed: WebP without loss takes as much, all others 12 at most."""
SPARE_BYTES = 500_000_000
"""Memory besides: the file, of 100 MB at most, and its copies."""
MAX_CPU_S = 12.0
"""Processor time for one file. The slowest honest one, a PNG of 120 million pixels of 16-bit RGBA, takes a third."""
MAX_WALL_S = 120.0
"""Time for one file, where a disk hangs."""
MAX_TEXT = 300
"""Characters of an error's text."""
NICENESS = 5

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def receive(stream: IO[bytes]) -> Any:
    """The next message, or None at the end."""
    head = stream.read(LENGTH.size)
    return json.loads(stream.read(*LENGTH.unpack(head))) if len(head) == LENGTH.size else None


def send(stream: IO[bytes], message: Any, *blobs: bytes) -> None:
    """Writes a message and what follows it."""
    text = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(text)) + text)
    for blob in blobs:
        stream.write(blob)
    stream.flush()


def main() -> None:
    """Reads files until there are no more."""
    files, replies = sys.stdin.buffer, sys.stdout.buffer
    order = receive(files)
    specs = [InputSpec(**spec) for spec in order["specs"]]
    known = files.read(order["known"])
    digests = {known[first : first + 32] for first in range(0, len(known), 32)}
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process: native code cannot be interrupted otherwise
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.nice(NICENESS)
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    Image.init()
    try:
        read = reader(Path(os.fsdecode(bytes.fromhex(order["root"]))))
    except DataError as error:  # of a zip that is gone
        send(replies, {"error": str(error)})
        return
    limit_memory(SPARE_BYTES + BYTES_PER_PIXEL * MAX_PIXELS)
    send(replies, {})
    while (keys := receive(files)) is not None:
        seen = [look(read, key, specs, digests) for key in keys]
        infos = [asdict(info) | {"digest": info.digest.hex(), "pixels": info.pixels.hex()} for info, _ in seen]
        send(replies, infos, *(row.tobytes() for _, rows in seen for row in rows))


def look(read: Reader, key: str, specs: Sequence[InputSpec], known: set[bytes]) -> tuple[FileInfo, list[Picture]]:
    """What one file is, and what models with such inputs see of it; within `MAX_CPU_S` and `MAX_WALL_S`.

    Of a content that is `known` nothing but its digest is told; of a bad file there are no pixels.
    """
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
    signal.setitimer(signal.ITIMER_REAL, MAX_WALL_S)
    digest, size = b"", 0
    try:
        content = read(key)
        digest, size = hashlib.sha256(content).digest(), len(content)
        return (unread(KNOWN, digest, size), []) if digest in known else decoded(content, digest, specs)
    except NotAnImage:
        told = f"no picture of a known kind ({', '.join(FORMATS)})" if size else "the file is empty"
        return unread(told, digest, size), []
    except (DataError, PictureError) as error:
        return unread(shown(str(error))[:MAX_TEXT], digest, size), []
    except MemoryError:
        return unread("reading it takes more memory than a picture may need", digest, size), []
    except Exception as error:  # decoders raise whatever they trip over, and no run ends at one file
        return unread(shown(f"it cannot be decoded: {error!r}")[:MAX_TEXT], digest, size), []
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def decoded(content: bytes, digest: bytes, specs: Sequence[InputSpec]) -> tuple[FileInfo, list[Picture]]:
    """Decodes a file once for all inputs; raises PictureError, also for what the service would refuse."""
    image = open_bounded(content, MAX_PIXELS)
    form, mode, width, height = image.format or "", image.mode, image.width, image.height
    picture = to_picture(image)
    rows = [
        resized(picture, spec)
        if spec.kind in RESIZES
        else preparation(spec).prepare(open_image(content, MAX_PIXELS)).pixels
        for spec in specs
    ]
    pixels = hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).digest()
    return FileInfo(digest, len(content), form, mode, width, height, None, is_gray(picture), pixels), rows


def is_gray(picture: Picture) -> bool:
    """Whether red, green and blue are equal in all of (height, width[, 3])."""
    if picture.ndim == 2:
        return True
    red = picture[..., 0]
    return bool((red == picture[..., 1]).all() and (red == picture[..., 2]).all())


if __name__ == "__main__":
    main()
