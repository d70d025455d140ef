"""Gives memory back to the system."""

import ctypes
import platform
from functools import cache

M_MMAP_THRESHOLD = -3
"""As glibc's malloc.h numbers it."""
LARGE_BYTES = 1 << 17


@cache
def return_large_blocks() -> None:
    """Makes glibc give blocks of `LARGE_BYTES` and more back when they are freed.

    By default it keeps blocks of a size that was freed once before (mallopt(3), M_MMAP_THRESHOLD): a burst of large
    uploads would stay in memory for good. Under another C library nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def give_back() -> None:
    """Returns the free pages between smaller blocks too (malloc_trim(3)), in some milliseconds."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
