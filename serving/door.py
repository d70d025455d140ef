"""Shuts a listening socket without losing a connection on its way. Linux only; elsewhere nothing happens."""

import ctypes
import socket
import struct
import sys
from contextlib import suppress

SO_ATTACH_FILTER = 26
"""As Linux's asm-generic/socket.h numbers it."""
INSTRUCTION = struct.Struct("HBBI")
DROP_NEW = (
    (0x30, 0, 0, 13),  # load the byte of the TCP header that holds the flags
    (0x45, 0, 1, 0x02),  # is SYN set?
    (0x06, 0, 0, 0),  # yes: drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # no: keep all of it
)
"""Classic BPF (Linux, Documentation/networking/filter.rst)."""


def shut(listener: socket.socket) -> None:
    """The kernel completes no more connections, in any process that shares the socket; those it has can be accepted.

    To close a listening socket resets what the kernel has queued since the last `accept`. After this call nothing is
    queued, once the connections that have been begun are complete. A client whose packet is dropped sends it again,
    after a second, and is refused, or served by the process that listens by then.
    """
    if sys.platform == "linux":
        code = ctypes.create_string_buffer(b"".join(INSTRUCTION.pack(*one) for one in DROP_NEW))
        program = struct.pack("HP", len(DROP_NEW), ctypes.addressof(code))
        with suppress(OSError):  # a sandbox may not know it
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
