"""The head of one request: its bytes → what the front decides by. Knows nothing about bodies or connections."""

import re
from http import HTTPStatus

import httptools

END = b"\r\n\r\n"
MAX_HEAD_BYTES = 32_768
ACCEPT, HOST, REQUEST_ID = b"\naccept:", b"\nhost:", b"\nx-request-id:"
API_KEY, AUTHORIZATION = b"\nx-api-key:", b"\nauthorization:"
LENGTH, EXPECT, CODING = b"\ncontent-length:", b"\nexpect:", b"\ntransfer-encoding:"
"""Names of fields, as they stand in a head in lower case."""
LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) (HTTP/[0-9]\.[0-9])")
"""Method, target and version (RFC 9112, section 3)."""
TARGET = re.compile(rb"/[^#]*|https?://([^/?#]*)/[^#]*", re.IGNORECASE)
"""In origin form, or in absolute form, which names the host itself (section 3.2); the path is not left out."""
EMPTY_LINES = re.compile(rb"(?:\r\n)+")
EXPECTATION = re.compile(rb"(?<=\n)expect:[^\r]*\r\n", re.IGNORECASE)
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
        """As it came, but for an offer to upgrade, and an expectation in HTTP/1.0, which are taken out."""
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

    def has_only(self, name: bytes, field: bytes) -> bool:
        """Whether there is one field of a name, and it is this `field`: from the line's end before it to its own CR."""
        return field in self._lower and self._lower.count(name) == 1

    def check(self) -> None:
        """Refuses what llhttp lets pass and RFC 9112 does not; raises NotServed."""
        parts = LINE.fullmatch(self.line)
        if not parts:
            raise _bad("its first line is no request line")
        method, target, version = parts.groups()
        if version not in (b"HTTP/1.1", b"HTTP/1.0"):  # section 2.3
            raise NotServed(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this service speaks HTTP/1.1")
        form = TARGET.fullmatch(target)
        if not form and (method, target) != (b"OPTIONS", b"*"):  # section 3.2
            raise _bad("its target is no path")
        if form and form[1] is not None and [form[1].lower()] != [host.lower() for host in self.values(HOST)]:
            raise _bad("its target and its field Host do not name the same host")
        if version == b"HTTP/1.0":
            self.raw = EXPECTATION.sub(b"", self.raw)  # RFC 9110, section 10.1.1
        if self.chunked:  # sections 6.1 and 6.3
            if version == b"HTTP/1.0":
                raise _bad("HTTP/1.0 has no transfer codings")
            if [coding.lower() for coding in self.values(CODING)] != [b"chunked"]:
                raise NotServed(HTTPStatus.NOT_IMPLEMENTED, "the only transfer coding that is read is `chunked`")

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
            buffer = EMPTY_LINES.sub(b"", buffer, 1)
        end = buffer.find(END, 0, MAX_HEAD_BYTES) + len(END)
        if end >= len(END):
            return self.read(buffer[:end]), buffer[end:]
        if len(buffer) < MAX_HEAD_BYTES:
            return None, buffer
        detail = f"the head has more than {MAX_HEAD_BYTES:,} bytes"
        if b"\r\n" in buffer[:MAX_HEAD_BYTES]:
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
        except httptools.HttpParserInvalidMethodError:
            self.renew()
            if LINE.fullmatch(raw[: raw.index(b"\r\n")]):
                raise NotServed(HTTPStatus.NOT_IMPLEMENTED, "the method is not served") from None
            raise _bad("its first line is no request line") from None
        except httptools.HttpParserError as error:
            self.renew()
            raise _bad(str(error)) from None
        if not self._seen.complete:
            self.renew()
            raise _bad("its head is incomplete")
        try:
            return RequestHead(raw, self._parser.should_keep_alive())
        except ValueError:  # llhttp allows any number of leading zeros, Python does not
            raise _bad("its Content-Length is too long") from None

    def skip(self, body: bytes) -> None:
        """Passes over the whole body of the head that was read last."""
        if body:
            self._parser.feed_data(body)


def _bad(detail: str) -> NotServed:
    return NotServed(HTTPStatus.BAD_REQUEST, f"this is no HTTP/1.1: {detail}")


def without_upgrade(raw: bytes) -> bytes:
    """A valid head without its offer to upgrade (RFC 9110, section 7.8), which a server may ignore."""

    def kept(match: re.Match[bytes]) -> bytes:
        options = [option.strip() for option in match[1].split(b",")]
        rest = [option for option in options if option and option.lower() not in UPGRADE_OPTIONS]
        return b"Connection: " + b", ".join(rest) + b"\r\n" if rest else b""

    return CONNECTION.sub(kept, UPGRADE.sub(b"", raw))
