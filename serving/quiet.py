"""Keeps C libraries from writing to the service's log."""

import ctypes
import platform
from functools import cache


@cache
def mute_c_libraries() -> None:
    """Sends what C code prints on `stderr` nowhere: libpng writes a line about each damaged file, and has no switch.

    In glibc `stderr` is a variable that may be set (its manual, section 12.2, Standard Streams). Descriptor 2 stays as
    it is: Python, C++ and the kernel write as before. Under another C library nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.fopen.restype = ctypes.c_void_p
        ctypes.c_void_p.in_dll(library, "stderr").value = library.fopen(b"/dev/null", b"w")
