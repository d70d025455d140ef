"""Connections: RFC 9112, section 9 (management); RFC 9110, sections 7.6.1, 7.8 (upgrades) and 10.1.1 (expectations)."""

from tests.http.cases import CHUNKS, CODING, GET, INNER, LENGTH, LIVE, POST, Case, either, refused, taken

ONE = POST + LENGTH
CHUNKED = POST + CODING + CHUNKS
CLOSE = POST + b"Connection: close\r\n" + LENGTH
NO_IMAGE = POST + b"Content-Length: 2\r\n\r\nxx"
NOWHERE = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n" + LENGTH
GARBAGE = b"BLA\r\n\r\n"
BAD_LENGTH = POST + b"Content-Length: -1\r\n\r\n"


def options(*lines: bytes, protocol: bytes = b"HTTP/1.1") -> bytes:
    """A whole request with these field lines."""
    start = b"POST <target> " + protocol + b"\r\nHost: localhost\r\n"
    return start + b"".join(line + b"\r\n" for line in lines) + LENGTH


def half_closed(name: str, section: str, *sent: bytes, answers: str) -> Case:
    """A case behind which the client ends its direction of the connection."""
    return Case(name, section, sent, answers, closes=True, half_closes=True)


PERSISTENCE = [
    refused("close", "9112 9.6", CLOSE, answers="200"),
    refused("close, and a request behind", "9112 9.6", CLOSE + INNER, answers="200"),
    refused("close, and garbage behind", "9112 9.6", CLOSE + GARBAGE, answers="200"),
    refused(
        "close with chunks, and a request behind",
        "9112 9.6",
        POST + b"Connection: close\r\n" + CODING + CHUNKS + INNER,
        answers="200",
    ),
    refused("GET, close, and a request behind", "9112 9.6", GET + b"Connection: close\r\n\r\n" + INNER, answers="200"),
    *(
        refused(f"Connection: {value}", "9110 7.6.1", options(b"Connection: " + value.encode()), answers="200")
        for value in (
            "Close",
            "CLOSE",
            "close, x",
            "x, close",
            "x,close",
            "keep-alive, close",
            "close, keep-alive",
            ",close,",
        )
    ),
    refused("close in a second field", "9110 5.3", options(b"Connection: x", b"Connection: close"), answers="200"),
    refused("close in the first field", "9110 5.3", options(b"Connection: close", b"Connection: x"), answers="200"),
    *(
        taken(f"Connection: {value}", "9110 7.6.1", options(b"Connection: " + value.encode()))
        for value in (
            "keep-alive",
            "Keep-Alive",
            "closed",
            "xclose",
            "close-x",
            "",
            "x",
            "Content-Length",
            "Host, X-Request-ID",
        )
    ),
    either("Proxy-Connection may be obeyed", "9112 C.2.2", options(b"Proxy-Connection: close"), answers="200"),
    taken("Keep-Alive is not obeyed", "9112 C.2.2", options(b"Keep-Alive: timeout=1, max=1")),
    refused("HTTP/1.0, and a request behind", "9112 9.3", options(protocol=b"HTTP/1.0") + INNER, answers="200"),
    refused("HTTP/1.0, close", "9112 9.3", options(b"Connection: close", protocol=b"HTTP/1.0"), answers="200"),
    either("HTTP/1.0, kept alive", "9112 9.3", options(b"Connection: keep-alive", protocol=b"HTTP/1.0"), answers="200"),
]

PIPELINES = [
    taken("ten at once", "9112 9.3.2", ONE * 10, answers=" ".join(["200"] * 10)),
    taken("ten with chunks", "9112 9.3.2", CHUNKED * 10, answers=" ".join(["200"] * 10)),
    taken(
        "forty of four kinds",
        "9112 9.3.2",
        (ONE + LIVE + CHUNKED + NO_IMAGE) * 10,
        answers=" ".join(["200 200 200 (400|415)"] * 10),
    ),
    taken(
        "failures between",
        "9112 9.3.2",
        NO_IMAGE + ONE + NOWHERE + ONE + NO_IMAGE + LIVE,
        answers="(400|415) 200 404 200 (400|415) 200",
    ),
    taken("a wrong method with a body, then another", "9112 9.3.2", b"PUT" + ONE[4:] + ONE, answers="405 200"),
    refused("garbage behind", "9112 9.3.2", ONE + GARBAGE, answers="200 400"),
    refused("garbage behind chunks", "9112 9.3.2", CHUNKED + GARBAGE, answers="200 400"),
    refused(
        "garbage behind nine",
        "9112 9.3.2",
        (ONE + LIVE + CHUNKED) * 3 + GARBAGE,
        answers=" ".join(["200"] * 9 + ["400"]),
    ),
    refused("garbage between", "9112 9.3.2", ONE + GARBAGE + INNER, answers="200 400"),
    refused("NULs behind", "9112 9.3.2", ONE + bytes(100) + b"\r\n\r\n", answers="200 400"),
    refused("a bad length behind", "9112 9.3.2", ONE + BAD_LENGTH, answers="200 400"),
    refused("a bad length behind, and a request", "9112 9.3.2", ONE + BAD_LENGTH + INNER, answers="200 400"),
    refused("two lengths behind", "9112 9.3.2", ONE + options(b"Content-Length: 0") + INNER, answers="200 400"),
    refused("a bad chunk behind", "9112 9.3.2", ONE + POST + CODING + b"x\r\n\r\n" + INNER, answers="200 400"),
    refused("an unknown method behind", "9112 9.3.2", ONE + b"BREW" + ONE[4:] + INNER, answers="200 501"),
    refused(
        "an unknown version behind", "9112 9.3.2", ONE + options(protocol=b"HTTP/2.0"), answers="200 (400|501|505)"
    ),
    refused("a head too large behind", "9112 9.3.2", ONE + POST + b"X: " + b"y" * 70_000, answers="200 431"),
    refused("a target too long behind", "9112 9.3.2", ONE + b"GET /" + b"x" * 70_000, answers="200 414"),
    refused("a body too large behind", "9112 9.3.2", ONE + POST + b"Content-Length: 300000\r\n\r\n", answers="200 413"),
]

HALF_CLOSED = [
    half_closed("a request", "9112 9.6", ONE, answers="200"),
    half_closed("a request with chunks", "9112 9.6", CHUNKED, answers="200"),
    half_closed("a GET", "9112 9.6", LIVE, answers="200"),
    half_closed("a request, close", "9112 9.6", CLOSE, answers="200"),
    half_closed("ten requests", "9112 9.6", ONE * 10, answers=" ".join(["200"] * 10)),
    half_closed("nine requests of three kinds", "9112 9.6", (ONE + CHUNKED + LIVE) * 3, answers=" ".join(["200"] * 9)),
    half_closed(
        "head and body apart", "9112 9.6", POST + b"Content-Length: <length>\r\n\r\n", b"<body>", answers="200"
    ),
    half_closed("nothing", "9112 9.6", answers=""),
    half_closed("an empty line", "9112 9.6", b"\r\n", answers=""),
    half_closed("a request line", "9112 8", b"POST <target> HTTP/1.1\r\n", answers="(400|408)?"),
    half_closed("half a head", "9112 8", POST, answers="(400|408)?"),
    half_closed("a head alone", "9112 8", POST + b"Content-Length: <length>\r\n\r\n", answers="(400|408)?"),
    half_closed("half a body", "9112 8", POST + b"Content-Length: 1<length>\r\n\r\n<body>", answers="(400|408)?"),
    half_closed("a chunk alone", "9112 8", POST + CODING + b"<hex>\r\n<body>\r\n", answers="(400|408)?"),
    half_closed("no last line end", "9112 8", POST + CODING + b"<hex>\r\n<body>\r\n0\r\n", answers="(400|408)?"),
    half_closed("a request and half a head", "9112 8", ONE + POST, answers="200( (400|408))?"),
    half_closed(
        "a request and half a body", "9112 8", ONE + POST + b"Content-Length: 9999\r\n\r\nx", answers="200( (400|408))?"
    ),
    half_closed("a request and garbage", "9112 9.6", ONE + GARBAGE, answers="200 400"),
    half_closed("garbage", "9112 9.6", GARBAGE, answers="400"),
]

EXPECT = b"Expect: 100-continue"
OFFERS = {
    "h2c": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
    "h2c without its settings": (b"Connection: Upgrade", b"Upgrade: h2c"),
    "a WebSocket": (
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Key: x",
        b"Sec-WebSocket-Version: 13",
    ),
    "not named by Connection": (b"Upgrade: h2c",),
    "named by Connection alone": (b"Connection: upgrade",),
    "many": (b"Connection: keep-alive, Upgrade", b"Upgrade: TLS/1.0", b"upgrade: h2c, x"),
}
NEGOTIATION = [
    taken("an expectation", "9110 10.1.1", options(EXPECT), answers="(100 )?200"),
    taken(
        "an expectation, the body later",
        "9110 10.1.1",
        POST + EXPECT + b"\r\nContent-Length: <length>\r\n\r\n",
        b"<body>",
        answers="(100 )?200",
    ),
    taken("an expectation in mixed case", "9110 10.1.1", options(b"eXPECT: 100-Continue"), answers="(100 )?200"),
    taken("an expectation with chunks", "9110 10.1.1", POST + EXPECT + b"\r\n" + CODING, CHUNKS, answers="(100 )?200"),
    taken("an expectation without a body", "9110 10.1.1", GET + EXPECT + b"\r\n\r\n", answers="(100 )?200"),
    taken("two expectations at once", "9110 10.1.1", options(EXPECT) * 2, answers="(100 )?200 (100 )?200"),
    either("an expectation that is unknown", "9110 10.1.1", options(b"Expect: x"), answers="200|400|417"),
    either("an expectation twice", "9110 10.1.1", options(EXPECT, EXPECT), answers="(100 )?(200|400|417)"),
    refused(
        "an expectation in HTTP/1.0 is ignored", "9110 10.1.1", options(EXPECT, protocol=b"HTTP/1.0"), answers="200"
    ),
    refused(
        "an expectation of too large a body",
        "9110 10.1.1",
        POST + EXPECT + b"\r\nContent-Length: 300000\r\n\r\n",
        answers="413|417",
    ),
    *(taken(f"an upgrade: {name}", "9110 7.8", options(*lines)) for name, lines in OFFERS.items()),
    *(
        taken(f"an upgrade without a body: {name}", "9110 7.8", GET + b"\r\n".join(lines) + b"\r\n\r\n")
        for name, lines in OFFERS.items()
    ),
    *(
        taken(f"an upgrade with chunks: {name}", "9110 7.8", POST + b"\r\n".join(lines) + b"\r\n" + CODING + CHUNKS)
        for name, lines in OFFERS.items()
    ),
]

CASES: list[Case] = [*PERSISTENCE, *PIPELINES, *HALF_CLOSED, *NEGOTIATION]
