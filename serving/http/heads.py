"""The head of one request: its bytes → what the front decides by. Knows nothing about bodies or connections."""

import re
from http import HTTPStatus

import httptools

END = b"\r\n\r\n"
MAX_HEAD_BYTES = 32_768
ACCEPT, HOST, REQUEST_ID = b"\naccept:", b"\nhost:", b"\nx-request-id:"
LENGTH, EXPECT, CODING = b"\ncontent-length:", b"\nexpect:", b"\ntransfer-encoding:"
"""Names of fields, as they stand in a head in lower case."""
CURRENT, OLD = b" HTTP/1.1", b" HTTP/1.0"
"""How the first line ends."""
ABSOLUTE = re.compile(rb"[A-Z]+ [a-z]+://([^/?# ]*)", re.IGNORECASE)
"""A first line whose target names a host itself."""
UPGRADE = re.compile(rb"(?<=\n)(?:upgrade|http2-settings):[^\r]*\r\n", re.IGNORECASE)
CONNECTION = re.compile(rb"(?<=\n)connection:([^\r]*)\r\n", re.IGNORECASE)
UPGRADE_OPTIONS = (b"upgrade", b"http2-settings")


class NotServed(Exception):
    """The bytes are no head of a request that this service takes; nothing behind them can be told apart.

    Args:
        status: of the answer.
        detail: what is wrong.
    """

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


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
        """Whether the body comes in chunks."""
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

    def take(self, buffer: bytes) -> tuple[RequestHead | None, bytes]:
        """The head at the start of `buffer`, None while it is incomplete, and what lies behind it. Raises NotServed."""
        if buffer.startswith(b"\r\n"):  # RFC 9112, section 2.2
            buffer = buffer.lstrip(b"\r\n")
        end = buffer.find(END, 0, MAX_HEAD_BYTES) + len(END)
        if end >= len(END):
            return self.read(buffer[:end]), buffer[end:]
        if len(buffer) < MAX_HEAD_BYTES:
            return None, buffer
        detail = f"the head has more than {MAX_HEAD_BYTES:,} bytes"
        if b"\r\n" in buffer:
            raise NotServed(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
        raise NotServed(HTTPStatus.REQUEST_URI_TOO_LONG, detail)

    def read(self, raw: bytes) -> RequestHead:
        """Bytes that end in the first empty line → the head. Raises NotServed."""
        self._seen.complete = False
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            self.renew()
            without = without_upgrade(raw)
            if without == raw:
                raise _bad("the method CONNECT is not served") from None
            return self.read(without)
        except httptools.HttpParserError as error:
            self.renew()
            raise _bad(str(error)) from None
        if not self._seen.complete:
            self.renew()
            raise _bad("its head is incomplete")
        try:
            head = RequestHead(raw, self._parser.should_keep_alive())
        except ValueError:  # llhttp allows any number of leading zeros, Python does not
            raise _bad("its Content-Length is too long") from None
        if not head.line.endswith(CURRENT) or b"://" in head.line or head.chunked:
            _check(head)
        return head

    def skip(self, body: bytes) -> None:
        """Passes over the whole body of the head that was read last."""
        if body:
            self._parser.feed_data(body)


def _bad(detail: str) -> NotServed:
    return NotServed(HTTPStatus.BAD_REQUEST, f"this is no HTTP/1.1: {detail}")


def _check(head: RequestHead) -> None:
    """What llhttp lets pass and RFC 9112 does not; raises NotServed."""
    current = head.line.endswith(CURRENT)
    if not current and not head.line.endswith(OLD):  # section 2.3; llhttp also reads RTSP and others
        version = head.line.rpartition(b" ")[2]
        if version.startswith(b"HTTP/"):
            raise NotServed(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this service speaks HTTP/1.1")
        raise _bad("its first line does not end in HTTP/1.1")
    if head.chunked:  # sections 6.1 and 6.3
        if not current:
            raise _bad("HTTP/1.0 has no transfer codings")
        if [coding.lower() for coding in head.values(CODING)] != [b"chunked"]:
            raise NotServed(HTTPStatus.NOT_IMPLEMENTED, "the only transfer coding that is read is `chunked`")
    absolute = ABSOLUTE.match(head.line)
    if absolute and [absolute[1]] != head.values(HOST):  # section 3.2.2
        raise _bad("its target and its field Host do not name the same host")


def without_upgrade(raw: bytes) -> bytes:
    """A valid head without its offer to upgrade (RFC 9110, section 7.8), which a server may ignore."""

    def kept(match: re.Match[bytes]) -> bytes:
        options = [option.strip() for option in match[1].split(b",")]
        rest = [option for option in options if option and option.lower() not in UPGRADE_OPTIONS]
        return b"Connection: " + b", ".join(rest) + b"\r\n" if rest else b""

    return CONNECTION.sub(kept, UPGRADE.sub(b"", raw))
