"""Decoder processes that outlive the service of one test: to start one takes a good part of a second."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from models.manifest import InputSpec
from models.pictures.errors import PictureError
from models.pictures.preparation import Found
from serving import decoder
from serving.decoder_process import DecoderProcess


class KeptProcess(DecoderProcess):
    """Ends only in the middle of a file."""

    def __init__(self, spec: InputSpec, max_pixels: int, kept: "list[KeptProcess]") -> None:
        super().__init__(spec, max_pixels)
        self.made_for = spec, max_pixels
        self._kept, self._ready, self._busy = kept, False, False

    async def ready(self) -> None:
        if not self._ready:
            await super().ready()
            self._ready = True

    async def decode(self, content: bytes) -> Found | PictureError:
        self._busy = True
        result = await super().decode(content)
        self._busy = False
        return result

    async def end(self) -> None:
        if not self._busy and self.child.poll() is None:
            self._kept.append(self)
        else:
            await super().end()

    def kill(self) -> None:
        self._socket.close()
        self.child.kill()
        self.child.wait()


@contextmanager
def kept_processes() -> Iterator[None]:
    """Decoders inside the context use processes again that others are through with."""
    kept: list[KeptProcess] = []

    def start(spec: InputSpec, max_pixels: int) -> KeptProcess:
        for process in kept:
            if process.made_for == (spec, max_pixels):
                kept.remove(process)
                return process
        return KeptProcess(spec, max_pixels, kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder, "DecoderProcess", start)
        yield
    for process in kept:
        process.kill()
