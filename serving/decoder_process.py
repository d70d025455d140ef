"""A decoder process as the service sees it: how it is started, given files and ended.

Its program is `decoder_child`.
"""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

from models.manifest import InputSpec
from models.pictures.errors import PictureError
from models.pictures.preparation import Found
from serving import decoder_child

START_TIMEOUT_S = 60.0
ROOT = Path(__file__).parent.parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class DecoderProcess:
    """One child and the socket to it; `spec` is the model's input."""

    def __init__(self, spec: InputSpec, max_pixels: int) -> None:
        self._spec = spec
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        numbers = map(str, (spec.height, spec.width, spec.channels, max_pixels))
        command = [sys.executable, "-m", decoder_child.__name__, spec.kind, *numbers]
        try:
            self.child = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,  # libraries write about damaged files there, as much as the files like
                cwd=ROOT,
                env=os.environ | ONE_THREAD,
                process_group=0,  # Ctrl-C is for the service, which ends its processes itself
            )
        except OSError:
            self._socket.close()
            raise
        finally:
            theirs.close()

    async def ready(self) -> None:
        """Waits until the process takes files; raises as `decode`."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._reply()
        except TimeoutError:
            raise TimeoutError(f"it is not ready after {START_TIMEOUT_S:g} s") from None

    async def decode(self, content: bytes) -> Found | PictureError:
        """What a file shows. Raises OSError or ValueError when the process ends or answers nonsense."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, decoder_child.FILE.pack(len(content)))
        await loop.sock_sendall(self._socket, content)
        return decoder_child.decode(*await self._reply(), self._spec)

    async def end(self) -> None:
        """Kills the process and waits until it is gone."""
        self._socket.close()
        self.child.kill()
        while self.child.poll() is None:
            await asyncio.sleep(0.01)

    async def _reply(self) -> tuple[int, bytes]:
        """Kind and body of the next reply."""
        kind, length = decoder_child.REPLY.unpack(await self._read(decoder_child.REPLY.size))
        if length > decoder_child.longest(self._spec):
            raise ValueError(f"a reply of {length} bytes")
        return kind, await self._read(length)

    async def _read(self, size: int) -> bytes:
        loop, data = asyncio.get_running_loop(), b""
        while len(data) < size:
            more = await loop.sock_recv(self._socket, size - len(data))
            if not more:
                raise ConnectionResetError("the process has ended")
            data += more
        return data
