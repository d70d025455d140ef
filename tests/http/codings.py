"""Transfer-Encoding: RFC 9112, sections 6.1 (field), 6.3 (length of the body) and 7 (codings)."""

from tests.http.cases import CHUNKS, CODING, POST, Case, either, refused, taken


def coding(value: bytes, end: bytes = b"\r\n\r\n") -> bytes:
    """A whole request in one chunk, whose coding is written so."""
    return POST + b"Transfer-Encoding: " + value + end + CHUNKS


def fields(*lines: bytes, protocol: bytes = b"HTTP/1.1") -> bytes:
    """A whole request in one chunk, with these field lines."""
    start = b"POST <target> " + protocol + b"\r\nHost: localhost\r\n"
    return start + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + CHUNKS


CHUNKED = b"Transfer-Encoding: chunked"
UNKNOWN = (
    "gzip", "gzip, chunked", "deflate, chunked", "compress, chunked", "br, chunked", "x, chunked", "gzip,chunked",
    "gzip\t,\tchunked", "identity", "identity, chunked", "chunked, identity", "chunked, gzip", "xchunked", "chunkedx",
    "chunked1", "chunk", "cow", "trailers", "chunked;x=y", "chunked; q=1", '"chunked"', "'chunked'", "chunked x",
    "x chunked", "chunked\x0b", "\x0bchunked", "\x0cchunked", "chunked\x0c", "chunked\x01", "chunked, x", "chunked;",
    "ch\tunked", "chunKed\x7f", "chunked/1", "(chunked)", "chunked chunked", "0", "", ",", "chunked\xff",
)  # fmt: skip
TWICE = ("chunked, chunked", "chunked,chunked", "Chunked, CHUNKED", "chunked, gzip, chunked", "chunked, , chunked")

CASES: list[Case] = [
    *(
        refused(f"coding {value!r}", "9112 6.1", coding(value.encode("latin-1")), answers="400|501")
        for value in UNKNOWN
    ),
    *(refused(f"coding {value!r}", "9112 6.1", coding(value.encode()), answers="400|501") for value in TWICE),
    refused("a NUL in it", "9110 5.5", coding(b"chunked\0")),
    refused("a NUL before it", "9110 5.5", coding(b"\0chunked")),
    refused("folded", "9112 5.2", coding(b"\r\n chunked")),
    refused("folded behind", "9112 5.2", coding(b"chunked\r\n , gzip")),
    refused("folded, nothing behind", "9112 5.2", coding(b"chunked\r\n ")),
    refused("a bare CR behind", "9112 2.2", coding(b"chunked\r")),
    refused("a bare LF behind", "9112 2.2", coding(b"chunked", end=b"\n\r\n")),
    refused("a bare LF before", "9112 2.2", fields(b"X: y\nTransfer-Encoding: chunked")),
    taken("chunked", "9112 7.1", coding(b"chunked")),
    taken("in mixed case", "9112 7", coding(b"cHuNkEd")),
    taken("in mixed case, no space", "9112 7", fields(b"tRANSFER-eNCODING:CHUNKED")),
    taken("white space around it", "9112 5", coding(b" \t chunked  ")),
    either("a tab behind it", "9112 5", coding(b"chunked\t"), answers="200|400|501"),
    either("an empty element before", "9110 5.6.1", coding(b", chunked"), answers="200|400|501"),
    either("an empty element behind", "9110 5.6.1", coding(b"chunked,"), answers="200|400|501"),
    refused("two fields", "9112 6.1", fields(CHUNKED, CHUNKED), answers="400|501"),
    refused("two fields in other case", "9112 6.1", fields(CHUNKED, b"X: y", CHUNKED.upper()), answers="400|501"),
    refused(
        "two fields, the first unknown", "9112 6.1", fields(b"Transfer-Encoding: gzip", CHUNKED), answers="400|501"
    ),
    refused("two fields, the last unknown", "9112 6.1", fields(CHUNKED, b"Transfer-Encoding: gzip"), answers="400|501"),
    refused(
        "two fields, identity last", "9112 6.1", fields(CHUNKED, b"Transfer-Encoding: identity"), answers="400|501"
    ),
    refused("two fields, the first empty", "9112 6.1", fields(b"Transfer-Encoding:", CHUNKED), answers="200|400|501"),
    refused("two fields, the last empty", "9112 6.1", fields(CHUNKED, b"Transfer-Encoding:"), answers="400|501"),
    refused("a space before the colon", "9112 5.1", fields(b"Transfer-Encoding : chunked")),
    refused("a tab before the colon", "9112 5.1", fields(b"Transfer-Encoding\t: chunked")),
    refused("a vertical tab before the name", "9112 5.1", fields(b"\x0bTransfer-Encoding: chunked")),
    refused("a space before the name", "9112 5.2", fields(b" Transfer-Encoding: chunked")),
    refused("in HTTP/1.0", "9112 6.1", fields(CHUNKED, protocol=b"HTTP/1.0"), answers="200|400|501"),
    refused(
        "in HTTP/1.0, to be kept alive",
        "9112 6.1",
        fields(CHUNKED, b"Connection: keep-alive", protocol=b"HTTP/1.0"),
        answers="200|400|501",
    ),
    refused(
        "in HTTP/1.0 beside a length",
        "9112 6.1",
        fields(b"Content-Length: <length>", CHUNKED, protocol=b"HTTP/1.0"),
        answers="400|501",
    ),
    taken("no body", "9112 7.1", POST + CODING + b"0\r\n\r\n", answers="400"),
]
