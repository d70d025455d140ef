"""The head of one request: its bytes → what the front decides by. Knows nothing about bodies or connections."""

import re
from typing import NamedTuple

import httptools

FIELD = re.compile(
    rb"\n(x-request-id|accept|content-length|transfer-encoding|expect):[ \t]*([^\r]*?)[ \t]*\r", re.IGNORECASE
)
"""Fields that gates and framing depend on; only used on heads that llhttp has validated."""
UPGRADE = re.compile(rb"(?<=\n)(?:upgrade|http2-settings):[^\r]*\r\n", re.IGNORECASE)
CONNECTION = re.compile(rb"(?<=\n)connection:([^\r]*)\r\n", re.IGNORECASE)
END = b"\r\n\r\n"


class NotHTTP(Exception):
    """The bytes are no head of an HTTP/1 request; the text says why."""


class RequestHead(NamedTuple):
    """One request's head."""

    raw: bytes
    """As it came, but for an offer to upgrade, which is taken out."""
    method: bytes
    target: bytes
    version: str
    keep_alive: bool
    fields: list[tuple[bytes, bytes]]
    """Those in `FIELD`, names in lower case."""
    content_length: int
    """Bytes of the body; 0 where none is announced."""
    chunked: bool
    expects: bool
    """Whether the client waits for an interim response before it sends the body."""


class _Seen:
    """What the parser calls back; apart from the reader, so that no cycle of references outlives a connection."""

    complete = False

    def on_headers_complete(self) -> None:
        """httptools: the head is valid."""
        self.complete = True


class HeadReader:
    """Reads the heads of one connection's requests; llhttp's parser validates each of them.

    One parser reads all of them, and must be told of the bodies in between (`skip`), or begin anew (`renew`).
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Forgets the head that was read last: its body is read elsewhere."""
        self._seen = _Seen()
        self._parser = httptools.HttpRequestParser(self._seen)

    def read(self, raw: bytes) -> RequestHead:
        """Bytes that end in the first empty line → the head. Raises NotHTTP."""
        try:
            self._validate(raw)
        except httptools.HttpParserUpgrade:
            self.renew()
            raw = without_upgrade(raw)
            try:
                self._validate(raw)
            except httptools.HttpParserUpgrade:
                raise NotHTTP("the method CONNECT is not served") from None
        parser = self._parser
        method, target, _ = raw.split(b"\r", 1)[0].split()
        found = [(name.lower(), value) for name, value in FIELD.findall(raw)]
        named = dict(found)
        length = int(named.get(b"content-length", 0))
        return RequestHead(
            raw,
            method,
            target,
            parser.get_http_version(),
            parser.should_keep_alive(),
            found,
            length,
            b"transfer-encoding" in named,
            b"expect" in named,
        )

    def _validate(self, raw: bytes) -> None:
        self._seen.complete = False
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            raise
        except httptools.HttpParserError as error:
            self.renew()
            raise NotHTTP(str(error)) from None
        if not self._seen.complete:
            self.renew()
            raise NotHTTP("its head is incomplete")

    def skip(self, body: bytes) -> None:
        """Passes over the whole body of the head that was read last."""
        if body:
            self._parser.feed_data(body)


def without_upgrade(raw: bytes) -> bytes:
    """A valid head without its offer to upgrade (RFC 9110, section 7.8), which a server may ignore."""

    def kept(match: re.Match[bytes]) -> bytes:
        options = [option.strip() for option in match[1].split(b",")]
        rest = [option for option in options if option.lower() not in (b"upgrade", b"http2-settings", b"")]
        return b"Connection: " + b", ".join(rest) + b"\r\n" if rest else b""

    return CONNECTION.sub(kept, UPGRADE.sub(b"", raw))
