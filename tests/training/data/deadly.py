"""The program of a process that reads pictures, where some contents do what a decoder's faults do."""

import os
import signal
from typing import Any

from training.data import child

DEADS = {b"segfault": signal.SIGSEGV, b"killed": signal.SIGKILL, b"slow": signal.SIGPROF, b"hangs": signal.SIGALRM}
decoded = child.decoded


def fatal(content: bytes, *rest: Any) -> Any:
    if content in DEADS:
        os.kill(os.getpid(), DEADS[content])
    if content == b"memory":
        bytearray(child.SPARE_BYTES + 2 * child.BYTES_PER_PIXEL * child.MAX_PIXELS)
    if content == b"raises":
        raise ZeroDivisionError("odd")
    if content == b"leaves":
        os._exit(3)
    if content == b"turns":
        while True:
            pass
    return decoded(content, *rest)


if __name__ == "__main__":
    child.decoded = fatal  # type: ignore[assignment]
    child.MAX_CPU_S = 0.3
    child.main()
