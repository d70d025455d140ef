"""The head of one request: its bytes → what the front decides by. Knows nothing about bodies or connections."""

import re

import httptools

END = b"\r\n\r\n"
MAX_HEAD_BYTES = 32_768
ACCEPT, REQUEST_ID = b"\naccept:", b"\nx-request-id:"
LENGTH, EXPECT, CODING = b"\ncontent-length:", b"\nexpect:", b"\ntransfer-encoding:"
"""Names of fields, as they stand in a head in lower case."""
UPGRADE = re.compile(rb"(?<=\n)(?:upgrade|http2-settings):[^\r]*\r\n", re.IGNORECASE)
CONNECTION = re.compile(rb"(?<=\n)connection:([^\r]*)\r\n", re.IGNORECASE)
UPGRADE_OPTIONS = (b"upgrade", b"http2-settings")


class NotHTTP(Exception):
    """The bytes are no head of an HTTP/1 request; the text says why."""


class RequestHead:
    """A head that llhttp has validated: no line is folded, no name has spaces, and each line ends in CR LF.

    So a field is where its name stands behind a line's end. Searching for the few names that matter takes less time
    than splitting all lines.
    """

    __slots__ = ("_lower", "content_length", "keep_alive", "line", "raw")

    def __init__(self, raw: bytes, keep_alive: bool) -> None:
        self.raw = raw
        """As it came, but for an offer to upgrade, which is taken out."""
        self.line = raw[: raw.index(b"\r")]
        """Method, target and version."""
        self.keep_alive = keep_alive
        """Only right when a body follows: after a whole message llhttp has forgotten `Connection: close`."""
        self._lower = raw.lower()
        start = self._lower.find(LENGTH)
        self.content_length = int(raw[start + len(LENGTH) : raw.index(b"\r", start)]) if start >= 0 else None
        """Bytes of the body; None where none are announced. llhttp refuses a second length, and one beside chunks."""

    @property
    def expects(self) -> bool:
        """Whether the client may wait for an interim response before it sends the body."""
        return EXPECT in self._lower

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks: llhttp refuses other codings at the end."""
        return CODING in self._lower

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields of a name, such as `REQUEST_ID`; without white space around them."""
        found, start = [], 0
        while (start := self._lower.find(name, start)) >= 0:
            start += len(name)
            found.append(self.raw[start : self.raw.index(b"\r", start)].strip(b" \t"))
        return found


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
        self._seen.complete = False
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            self.renew()
            without = without_upgrade(raw)
            if without == raw:
                raise NotHTTP("the method CONNECT is not served") from None
            return self.read(without)
        except httptools.HttpParserError as error:
            self.renew()
            raise NotHTTP(str(error)) from None
        if not self._seen.complete:
            self.renew()
            raise NotHTTP("its head is incomplete")
        try:
            return RequestHead(raw, self._parser.should_keep_alive())
        except ValueError:  # llhttp allows any number of leading zeros, Python does not
            raise NotHTTP("its Content-Length is too long") from None

    def skip(self, body: bytes) -> None:
        """Passes over the whole body of the head that was read last."""
        if body:
            self._parser.feed_data(body)


def without_upgrade(raw: bytes) -> bytes:
    """A valid head without its offer to upgrade (RFC 9110, section 7.8), which a server may ignore."""

    def kept(match: re.Match[bytes]) -> bytes:
        options = [option.strip() for option in match[1].split(b",")]
        rest = [option for option in options if option and option.lower() not in UPGRADE_OPTIONS]
        return b"Connection: " + b", ".join(rest) + b"\r\n" if rest else b""

    return CONNECTION.sub(kept, UPGRADE.sub(b"", raw))
