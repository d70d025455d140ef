"""The program of a decoder process: `python -m serving.decoder_child KIND HEIGHT WIDTH CHANNELS MAX_PIXELS`, a
child of the service.

Whatever a file makes of a decoder stays here: it cannot take the service's memory, its time, or its log. Files come in
on standard input and what they show goes out on standard output, one at a time, until standard input ends.

A file is its length (4 bytes, little-endian) and its bytes. A reply begins with the number of its kind (1 byte) and the
length of what follows (4 bytes). No reply is unpickled, and no picture is believed that has another shape than the
model's input: a process taken over by a file must not reach the service.
"""

import math
import os
import signal
import struct
import sys
import warnings
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from models.manifest import InputSpec
from models.pictures.errors import NotAnImage, PictureError, TooLarge, UndecodableImage
from models.pictures.limits import limit_memory, open_bounded
from models.pictures.preparation import Found, Preparation, preparation
from serving.heap import return_large_blocks

FILE = struct.Struct("<I")
REPLY = struct.Struct("<BI")
FOUND = struct.Struct("<?")
"""Whether there is more in the picture; the pixels follow, a byte each."""
READY = REPLY.pack(0, 0)
"""The first reply of a process, to no file."""
FAILURES = (NotAnImage, UndecodableImage, TooLarge)
"""Kinds of reply from 2 on; the text follows. 1 is `Found`."""
NICENESS = 10
"""Where cores are short, clean files are answered before others are decoded."""
MAX_TEXT = 300
"""Characters of a failure's text, of up to four bytes each."""
BYTES_PER_PIXEL = 20
"""Memory for an image of as many pixels as are allowed: WebP without loss takes as much, all others 12 at most."""
SPARE_BYTES = 128_000_000
"""Memory besides: the file itself, and all that is small."""
CPU_S_PER_PIXEL = 8e-8
"""Processor time for an image of as many pixels as are allowed, and a second besides. The slowest that is known, a PNG
of 16-bit RGBA, takes a third of it."""


def encode(result: Found | PictureError) -> bytes:
    """The reply to one file."""
    if isinstance(result, Found):
        body = FOUND.pack(result.several) + result.pixels.tobytes()
        return REPLY.pack(1, len(body)) + body
    body = str(result)[:MAX_TEXT].encode(errors="replace")
    return REPLY.pack(2 + FAILURES.index(type(result)), len(body)) + body


def longest(spec: InputSpec) -> int:
    """Bytes that an honest reply has behind its head at most."""
    return max(FOUND.size + math.prod(spec.shape), 4 * MAX_TEXT)


def decode(kind: int, body: bytes, spec: InputSpec) -> Found | PictureError:
    """What a reply says; raises ValueError for one that no honest process sends."""
    if kind != 1:
        if not 0 <= kind - 2 < len(FAILURES):
            raise ValueError(f"a reply of kind {kind}")
        return FAILURES[kind - 2](body.decode(errors="replace"))
    if len(body) < FOUND.size:
        raise ValueError(f"a reply of {len(body)} bytes")
    (several,) = FOUND.unpack_from(body)
    shape = (spec.height, spec.width) if spec.channels == 1 else (spec.height, spec.width, spec.channels)
    return Found(np.frombuffer(body, np.uint8, offset=FOUND.size).reshape(shape), several)


def main() -> None:
    """Decodes files until there are no more."""
    kind, *numbers = sys.argv[1:]
    *shape, max_pixels = map(int, numbers)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process: native code cannot be interrupted otherwise
    os.nice(NICENESS)
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    return_large_blocks()
    Image.init()
    prepare = preparation(InputSpec(kind, *shape))
    limit_memory(SPARE_BYTES + BYTES_PER_PIXEL * max_pixels)
    files, replies = sys.stdin.buffer, sys.stdout.buffer
    send(replies, READY)
    while len(length := files.read(FILE.size)) == FILE.size:
        content = files.read(*FILE.unpack(length))
        signal.setitimer(signal.ITIMER_PROF, 1 + CPU_S_PER_PIXEL * max_pixels)
        reply = encode(decoded(content, prepare, max_pixels))
        signal.setitimer(signal.ITIMER_PROF, 0)
        del content  # the next one may come much later
        send(replies, reply)


def decoded(content: bytes, prepare: Preparation, max_pixels: int) -> Found | PictureError:
    """What a file shows, or what is wrong with it."""
    try:
        return prepare.prepare(open_bounded(content, max_pixels))
    except PictureError as error:
        return error
    except MemoryError:
        return UndecodableImage("decoding it takes more memory than an image of this size needs")


def send(replies: BinaryIO, reply: bytes) -> None:
    """Writes one reply."""
    replies.write(reply)
    replies.flush()


if __name__ == "__main__":
    main()
