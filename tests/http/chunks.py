"""Chunks: RFC 9112, sections 7.1 (syntax), 7.1.1 (extensions) and 7.1.2 (trailers)."""

from tests.http.cases import CHUNKS, CODING, HIDDEN, INNER, POST, Case, either, refused, taken

HEAD = POST + CODING
DATA = b"\r\n<body>\r\n"
LAST = b"0\r\n\r\n"


def size(line: bytes) -> bytes:
    """A whole request in one chunk, whose first line is written so."""
    return HEAD + line + DATA + LAST


def end(written: bytes) -> bytes:
    """A whole request in one chunk; `written` is what stands behind it."""
    return HEAD + b"<hex>" + DATA + written


def trailer(*lines: bytes) -> bytes:
    """A whole request in one chunk, with these trailers."""
    return end(b"0\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n")


SIZES = (
    "", " ", " <hex>", "\t<hex>", "<hex> ", "<hex>\t", "+<hex>", "-<hex>", "-1", "0x<hex>", "0X<hex>", "<hex>h",
    "<hex>x", "<hex>.0", "<hex>,", "<hex> 0", "<hex>_", "#<hex>", '"<hex>"', "g", "zz", ";x=y", "<hex>:", "<hex>=",
    "<hex>\0", "<hex>\x0b", "<hex>\r", "\r\n<hex>", "<hex>\x01", "<hex>\xff", "٥",
)  # fmt: skip
OVERFLOWS = ("10000000000000000", "1000000000000000<hex>", "f" * 17, "fffffffffffffffff<hex>", "1" + "0" * 5000)
BAD_EXTENSIONS = (";x\n", ";\n", ";x=y\nGET", ";x\r", ";x\ry", ";\0", ";x=\0", ';x="\n"', ';x="\r"', ";x\r\r")
EXTENSIONS = (";x", ";x=y", ';x="y z"', ';x="y;\\"z"', ";x=y;z", ";x=y;z=1")
LOOSE_EXTENSIONS = (" ;x", "; x", ";x =y", ";x= y", ";", ";;", ";=", ';x="', ";x=\x01", ";x=\xff", ";x y")
BAD_TRAILERS = {
    "a space before the colon": b"X : y",
    "no colon": b"X",
    "no name": b": y",
    "folded": b"X: y\r\n z",
    "a NUL": b"X: \0",
    "a bare CR": b"X: y\rZ: y",
    "a bare LF": b"X: y\nZ: y",
    "a request line": b"GET /health/live HTTP/1.1",
}
VAIN_TRAILERS = {
    "a length": b"Content-Length: 5",
    "a length of zero": b"Content-Length: 0",
    "a length that is none": b"Content-Length: x",
    "a coding": b"Transfer-Encoding: chunked",
    "another coding": b"Transfer-Encoding: gzip",
    "a Host": b"Host: evil.example",
    "a request id": b"X-Request-ID: " + HIDDEN,
    "an API key": b"Authorization: Bearer x",
    "a type": b"Content-Type: text/plain",
    "an expectation": b"Expect: 100-continue",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: h2c",
}

CASES: list[Case] = [
    *(refused(f"size {line!r}", "9112 7.1", size(line.encode())) for line in SIZES),
    *(refused(f"size {line:.25}", "9112 7.1", size(line.encode()), answers="400|413") for line in OVERFLOWS),
    *(refused(f"extension {line!r}", "9112 7.1.1", size(b"<hex>" + line.encode())) for line in BAD_EXTENSIONS),
    *(taken(f"extension {line!r}", "9112 7.1.1", size(b"<hex>" + line.encode())) for line in EXTENSIONS),
    *(
        either(f"extension {line!r}", "9112 7.1.1", size(b"<hex>" + line.encode("latin-1")), answers="200|400")
        for line in LOOSE_EXTENSIONS
    ),
    either("an extension of 1,000 bytes", "9112 7.1.1", size(b"<hex>;" + b"x" * 1000), answers="200|400|413"),
    refused("an extension of 300 kB", "9112 7.1.1", size(b"<hex>;" + b"x" * 300_000), answers="400|413|431"),
    refused(
        "extensions of 300 kB",
        "9112 7.1.1",
        HEAD + (b"1;" + b"x" * 3000 + b"\r\ny\r\n") * 100 + LAST,
        answers="400|413|431",
    ),
    refused("an extension without an end", "9112 7.1.1", HEAD + b"1;" + b"x" * 400_000, answers="400|413|431"),
    taken("a size in upper case", "9112 7.1", HEAD + b"1A\r\n" + b"x" * 26 + b"\r\n" + LAST, answers="400|415"),
    taken("a size with leading zeros", "9112 7.1", size(b"000<hex>")),
    either("a size with 100 leading zeros", "9112 7.1", size(b"0" * 100 + b"<hex>"), answers="200|400"),
    either("a size of 100 zeros", "9112 7.1", end(b"0" * 100 + b"\r\n\r\n"), answers="200|400"),
    taken("two chunks", "9112 7.1", HEAD + b"1\r\nx\r\n<hex>\r\n<body>\r\n" + LAST, answers="400|415"),
    taken("the last chunk has an extension", "9112 7.1", end(b"0;x=y\r\n\r\n")),
    taken("the last chunk has zeros", "9112 7.1", end(b"000\r\n\r\n")),
    refused("a bare LF behind the size", "9112 7.1", HEAD + b"<hex>\n<body>\r\n" + LAST),
    refused("a bare CR behind the size", "9112 7.1", HEAD + b"<hex>\r<body>\r\n" + LAST),
    refused("CR CR LF behind the size", "9112 7.1", HEAD + b"<hex>\r\r\n<body>\r\n" + LAST),
    refused("no line end behind the data", "9112 7.1", HEAD + b"<hex>\r\n<body>" + LAST),
    refused("a bare LF behind the data", "9112 7.1", HEAD + b"<hex>\r\n<body>\n" + LAST),
    refused("a bare CR behind the data", "9112 7.1", HEAD + b"<hex>\r\n<body>\r" + LAST),
    refused("CR CR LF behind the data", "9112 7.1", HEAD + b"<hex>\r\n<body>\r\r\n" + LAST),
    refused("more data than its size", "9112 7.1", HEAD + b"<hex>\r\n<body>x\r\n" + LAST),
    refused("less data than its size", "9112 7.1", HEAD + b"1<hex>\r\n<body>\r\n" + LAST + b"x" * 5000),
    refused("two bytes for a line end", "9112 7.1", HEAD + b"<hex>\r\n<body>xx" + LAST),
    refused("a request for a line end", "9112 7.1", HEAD + b"1\r\nx" + INNER),
    refused("a bare LF behind the last chunk", "9112 7.1", end(b"0\n\r\n")),
    refused("bare LFs behind the last chunk", "9112 7.1", end(b"0\n\n") + INNER),
    refused("a bare LF ends the body", "9112 7.1", end(b"0\r\n\n")),
    refused("a bare CR ends the body", "9112 7.1", end(b"0\r\n\rx")),
    refused("the last chunk is no number", "9112 7.1", end(b"x\r\n\r\n")),
    refused("the body's end is missing", "9112 7.1", end(b"0\r\nx\r\n\r\n")),
    taken("a trailer", "9112 7.1.2", trailer(b"X: y")),
    taken("trailers", "9112 7.1.2", trailer(b"X: y", b"X: z", b"Trailer: X")),
    *(refused(f"a trailer: {name}", "9112 7.1.2", trailer(line)) for name, line in BAD_TRAILERS.items()),
    *(
        either(f"a trailer: {name}", "9110 6.5.1", trailer(line), answers="200|400")
        for name, line in VAIN_TRAILERS.items()
    ),
    refused("a trailer of 400 kB", "9112 7.1.2", trailer(b"X: " + b"y" * 400_000), answers="400|413|431"),
    refused("70,000 trailers", "9112 7.1.2", trailer(*[b"X: y"] * 70_000), answers="400|413|431"),
    refused("trailers without an end", "9112 7.1.2", end(b"0\r\n" + b"X: y\r\n" * 70_000), answers="400|413|431"),
    either(
        "more than the limit", "9110 15.5.14", HEAD + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 80 + LAST, answers="413"
    ),
    taken(
        "a request within a chunk",
        "9112 7.1",
        HEAD + b"%x\r\n" % len(INNER) + INNER + b"\r\n" + LAST,
        answers="400|415",
    ),
    taken(
        "a request behind the last chunk",
        "9112 7.1",
        HEAD + CHUNKS + POST + b"Content-Length: <length>\r\n\r\n<body>",
        answers="200 200",
    ),
    refused("garbage behind the last chunk", "9112 7.1", HEAD + CHUNKS + b"\0\r\n\r\n", answers="200 400"),
    taken("pieces: head, size, data, end", "9112 7.1", HEAD, b"<hex>\r", b"\n<body>", b"\r\n0\r\n", b"\r\n"),
]
