"""Chunked bodies (RFC 9112, section 7.1): where each ends, and what is in it. Knows nothing about connections."""

import re

import httptools

from serving.http.heads import MAX_HEAD_BYTES

LAST_CHUNK = b"0\r\n\r\n"
FRAME_FACTOR = 8
"""Bytes that a chunked body may take for each byte of data, besides `MAX_HEAD_BYTES`: chunks of one byte take six."""
END = re.compile(rb"[^\n]\r\n\r\n")
"""Ends of chunked bodies look like this: the last line before the empty one is not empty itself."""


class _Body:
    """What the parser calls back."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.complete = False

    def on_body(self, piece: bytes) -> None:
        """httptools: a part of a chunk."""
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        """httptools: that was all of the body."""
        self.complete = True


class Chunks:
    """Reads a chunked body and writes it anew, without extensions and trailers, which uvicorn would take for fields.

    llhttp does not say at which byte the body ends (RFC 9112, section 7.1). It ends in an empty line, so llhttp is fed
    in pieces that end in one: the end is then a piece's end.
    """

    def __init__(self, head: bytes) -> None:
        self._body = _Body()
        self.broken = False
        self._surplus = 0  # bytes of extensions, trailers and the like, less what the data excuses
        self._tail = b""
        self._parser = httptools.HttpRequestParser(self._body)
        self._parser.feed_data(head)

    @property
    def complete(self) -> bool:
        """Whether the body has ended."""
        return self._body.complete

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """What came → chunks for uvicorn, and what lies behind the body: nothing when it is broken."""
        carried, searched = len(self._tail), 0
        data, start = self._tail + data, carried
        self._body.pieces = []
        while start < len(data) and not self.complete:
            found = END.search(data, searched)
            end = found.end() if found else len(data)
            try:
                self._parser.feed_data(data[start:end])
            except httptools.HttpParserError:
                return self._break()
            self._tail = b"" if found else data[searched:][-4:]
            start = searched = end
        self._surplus += start - carried - FRAME_FACTOR * sum(map(len, self._body.pieces))
        if self._surplus > MAX_HEAD_BYTES:
            return self._break()
        body = b"".join(self._body.pieces)
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return chunk + (LAST_CHUNK if self.complete else b""), data[start:]

    def _break(self) -> tuple[bytes, bytes]:
        self._body.complete = self.broken = True
        return LAST_CHUNK, b""
