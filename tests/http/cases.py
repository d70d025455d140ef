"""One case of the corpus: bytes that a client sends, and what RFC 9110 and RFC 9112 let a server answer.

Knows nothing about sockets. The bytes hold marks, which stand for a target and its body, so that the same case is sent
to each door of the service: `<target>`, `<body>`, `<length>` (the body's, decimal), `<hex>` (the same, hexadecimal).
"""

from dataclasses import dataclass

from tests.conftest import ROOT

HIDDEN = b"hidden"
"""Request id of requests and trailers that must never be taken for a request, or be obeyed."""
POST = b"POST <target> HTTP/1.1\r\nHost: localhost\r\n"
LENGTH = b"Content-Length: <length>\r\n\r\n<body>"
"""The rest of a request that `POST` begins."""
CODING = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"<hex>\r\n<body>\r\n0\r\n\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
LIVE = GET + b"\r\n"
INNER = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: %b\r\n\r\n" % HIDDEN


@dataclass(frozen=True)
class Door:
    """A target of the service, and a body that it answers with 200."""

    name: str
    target: bytes
    body: bytes

    def fill(self, sent: bytes) -> bytes:
        """Puts target and body where their marks are."""
        marks = {b"target": self.target, b"length": b"%d" % len(self.body), b"hex": b"%x" % len(self.body)}
        for mark, value in marks.items():
            sent = sent.replace(b"<%b>" % mark, value)
        return sent.replace(b"<body>", self.body)  # last: a body may hold anything


PNG = (ROOT / "examples" / "0.png").read_bytes()
FORM = b'--b\r\nContent-Disposition: form-data; name="files"; filename="0.png"\r\n\r\n%b\r\n--b--\r\n' % PNG
DOORS = (Door("front", b"/predict", PNG), Door("uvicorn", b"/predict/batch", FORM))
"""The front answers the first by itself, and passes the second on to uvicorn."""


@dataclass(frozen=True)
class Case:
    """What is sent on one connection, and what must come back."""

    name: str
    section: str
    """Of an RFC: `9112 3.2`."""
    sent: tuple[bytes, ...]
    """Pieces, sent with a pause between them."""
    answers: str
    """Regular expression of all statuses in order, a space between two: `200 (400|501)`. Each answer that is not
    interim belongs to one request, so it also says how many requests the service may see."""
    closes: bool | None = False
    """Whether the service then closes the connection; None where it may choose."""
    is_head: bool = False
    """Whether the answers have no body, since HEAD asks for them."""
    half_closes: bool = False
    """Whether the client ends its direction of the connection behind the last byte."""

    @property
    def doors(self) -> tuple[Door, ...]:
        """Those between which the case makes a difference."""
        return DOORS if any(b"<" in piece for piece in self.sent) else DOORS[:1]

    def pieces(self, door: Door) -> list[bytes]:
        """The bytes that are sent to a door."""
        return [door.fill(piece) for piece in self.sent]


def taken(name: str, section: str, *sent: bytes, answers: str = "200") -> Case:
    """A case that the service answers, and reads on behind it."""
    return Case(name, section, sent, answers)


def refused(name: str, section: str, *sent: bytes, answers: str = "400") -> Case:
    """A case behind which no request can be told apart: the service answers, and closes the connection."""
    return Case(name, section, sent, answers, closes=True)


def either(name: str, section: str, *sent: bytes, answers: str) -> Case:
    """A case behind which the service may close the connection or not."""
    return Case(name, section, sent, answers, closes=None)
