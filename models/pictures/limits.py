"""Bounds on a process that decodes strangers' files: its memory, and which files it opens at all."""

import resource
import sys
from contextlib import suppress
from pathlib import Path

from PIL import Image

from models.pictures.bombs import refuse_many_blocks, refuse_slow
from models.pictures.decode import open_image


def open_bounded(content: bytes, max_pixels: int) -> Image.Image:
    """As `open_image`; also raises TooLarge for a file that would keep its decoder busy out of all proportion."""
    refuse_many_blocks(content)
    image = open_image(content, max_pixels)
    refuse_slow(image, content)
    return image


def limit_memory(more: int) -> None:
    """Lets this process take so many bytes beyond what it has now, and leave no core behind.

    Where the machine's memory is short, Linux ends it rather than its parent.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(OSError):  # /proc may be read-only
            Path("/proc/self/oom_score_adj").write_text("1000")
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)
