"""Content-Length: RFC 9112, section 6 (message body); RFC 9110, section 8.6."""

from tests.http.cases import CHUNKS, CODING, GET, INNER, POST, Case, either, refused, taken


def length(value: bytes) -> bytes:
    """A whole request whose Content-Length is written so; `<length>` is the right one."""
    return POST + b"Content-Length: " + value + b"\r\n\r\n<body>"


def fields(*lines: bytes) -> bytes:
    """A whole request with these field lines."""
    return POST + b"".join(line + b"\r\n" for line in lines) + b"\r\n<body>"


RIGHT = b"Content-Length: <length>"
BROKEN = (
    "", "+<length>", "-<length>", "-1", "-0", "0x<hex>", "<length>.0", "<length>e0", "1e2", "<length>,", ",<length>",
    "<length>, <length>", "<length>,<length>", "<length>, 0", "0, <length>", "<length> <length>", "<length> 0",
    "<length>;", "<length>;x=y", '"<length>"', "<length>x", "x<length>", "1 <length>", "1_0", "<length>\x0b",
    "\x0b<length>", "<length>\x0c", "ten", "null", "NaN", "٥", "<length>²", "0b11", "0o7", "<length>\0", "<length>\r",
    "'<length>'",
)  # fmt: skip
TOO_LARGE = {
    "more than the limit": b"300000",
    "the limit and more, leading zeros": b"000300000",
    "more than 32 bits": b"4294967297",
    "more than 63 bits": b"9223372036854775808",
    "64 bits": b"18446744073709551615",
    "64 bits and the body's length": b"18446744073709551616",
    "many digits": b"9" * 100,
    "5,000 digits": b"1" + b"0" * 4999,
}
BODILESS = {b"GET": "200", b"DELETE": "405", b"OPTIONS": "200|204|405", b"PATCH": "405"}

CASES: list[Case] = [
    *(refused(f"length {value!r}", "9112 6.3", length(value.encode())) for value in BROKEN),
    *(
        refused(name, "9110 8.6", POST + b"Content-Length: " + value + b"\r\n\r\n", answers="400|413")
        for name, value in TOO_LARGE.items()
    ),
    refused("twice the same", "9112 6.3", fields(RIGHT, RIGHT)),
    refused("twice, different", "9112 6.3", fields(RIGHT, b"Content-Length: 0")),
    refused("twice, different, the right one last", "9112 6.3", fields(b"Content-Length: 0", RIGHT)),
    refused("twice, once empty", "9112 6.3", fields(RIGHT, b"Content-Length:")),
    refused("twice, in other case and place", "9112 6.3", fields(RIGHT, b"X: y", b"CONTENT-LENGTH: 3")),
    refused("thrice", "9112 6.3", fields(RIGHT, RIGHT, RIGHT)),
    refused("twice, with leading zeros", "9112 6.3", fields(RIGHT, b"Content-Length: 0<length>")),
    refused("a folded one", "9112 5.2", fields(b"Content-Length:\r\n <length>")),
    refused("a folded second one", "9112 5.2", fields(b"Content-Length: <length>\r\n ,<length>")),
    taken("leading zeros", "9110 8.6", length(b"000<length>")),
    either("5,000 leading zeros", "9110 8.6", length(b"0" * 5000 + b"<length>"), answers="200|400"),
    taken("white space around it", "9112 5", length(b" \t <length> \t")),
    taken("in lower case, no space", "9110 5.1", fields(b"content-length:<length>")),
    taken("zero", "9112 6.3", POST + b"Content-Length: 0\r\n\r\n", answers="400"),
    taken("zeros", "9112 6.3", POST + b"Content-Length: 000\r\n\r\n", answers="400"),
    either("none on a POST", "9112 6.3", POST + b"\r\n", answers="400|411"),
    refused(
        "none on a POST, and bytes that are no request",
        "9112 6.3",
        POST + b"\r\n\0\0\r\n\r\n",
        answers="400|411|(400|411) 400",
    ),
    either(
        "none on a POST, and a request behind", "9112 6.3", POST + b"\r\n" + GET + b"\r\n", answers="(400|411) 200|411"
    ),
    refused("beside chunks", "9112 6.1", POST + b"Content-Length: <length>\r\n" + CODING + CHUNKS),
    refused(
        "behind chunks", "9112 6.1", POST + b"Transfer-Encoding: chunked\r\nContent-Length: <length>\r\n\r\n" + CHUNKS
    ),
    refused("of zero beside chunks", "9112 6.1", POST + b"Content-Length: 0\r\n" + CODING + CHUNKS),
    refused(
        "that ends behind the chunks, a request within",
        "9112 6.1",
        POST + b"Content-Length: 5\r\n" + CODING + b"0\r\n\r\n" + INNER,
    ),
    refused(
        "of the first chunk's line, a request within",
        "9112 6.1",
        POST + b"Content-Length: 4\r\n" + CODING + b"%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n",
    ),
    refused("beside another coding", "9112 6.1", fields(RIGHT, b"Transfer-Encoding: gzip"), answers="400|501"),
    refused("beside a coding that is none", "9112 6.1", fields(RIGHT, b"Transfer-Encoding: x"), answers="400|501"),
    refused("beside identity", "9112 6.1", fields(RIGHT, b"Transfer-Encoding: identity"), answers="400|501"),
    refused("beside an empty coding", "9112 6.1", fields(RIGHT, b"Transfer-Encoding:"), answers="400|501"),
    taken("a request behind", "9112 6.3", length(b"<length>") + GET + b"\r\n", answers="200 200"),
    *(
        either(
            f"{method.decode()} with a body",
            "9110 9.3",
            method + GET[3:] + b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER,
            answers=status + "|400",
        )
        for method, status in BODILESS.items()
    ),
    *(
        either(
            f"{method.decode()} with chunks",
            "9110 9.3",
            method + GET[3:] + CODING + b"%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n",
            answers=status + "|400",
        )
        for method, status in BODILESS.items()
    ),
    Case(
        "HEAD with a request as its body",
        "9110 9.3.2",
        (b"HEAD" + GET[3:] + b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER,),
        "200|400",
        None,
        is_head=True,
    ),
    taken(
        "a request within a body",
        "9112 6.3",
        POST + b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER,
        answers="400|415",
    ),
    taken("head and body apart", "9112 6.3", POST + b"Content-Length: <length>\r\n\r\n", b"<body>"),
    taken("the head in two", "9112 6.3", POST + b"Content-Le", b"ngth: <length>\r\n\r\n<body>"),
    taken("the head's end in two", "9112 6.3", POST + b"Content-Length: <length>\r\n\r", b"\n<body>"),
]
