"""The Host field (RFC 9112, section 3.2; RFC 9110, section 7.2), of a service that listens on loopback alone."""

from tests.http.cases import LENGTH, Case, either, refused, taken


def host(value: bytes, protocol: bytes = b"HTTP/1.1") -> bytes:
    """A whole request for this host."""
    return b"POST <target> " + protocol + b"\r\nHost: " + value + b"\r\n" + LENGTH


def heads(*lines: bytes, protocol: bytes = b"HTTP/1.1") -> bytes:
    """A whole request with these field lines."""
    return b"".join((b"POST <target> ", protocol, b"\r\n", *(line + b"\r\n" for line in lines), LENGTH))


OURS = ("localhost", "LocalHost", "localhost:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000", "  localhost\t ")
FOREIGN = (
    "evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost",
    "localhost-", "local", "10.0.0.1", "[::2]", "xn--localhost-abc",
)  # fmt: skip
ODD = ("localhost,localhost", "localhost,evil.example", "localhost;", "localhost;x=y", "%6cocalhost", "localhost%00")
"""Names that the grammar of URIs allows (RFC 3986, section 3.2.2)."""
BROKEN = (
    "", " ", ":", ":80", "localhost, evil.example", "localhost localhost", "localhost evil.example", "local host",
    "user@localhost", "localhost@evil.example", "evil.example@localhost", "localhost/", "localhost/x", "/localhost",
    "localhost?x", "localhost#x", "localhost\\x", "http://localhost", "localhost:80:80", "localhost:x", "localhost:-1",
    "localhost:+1", "localhost: 80", "[::1", "::1]", "[]", "[::1]x", "[::1]:x", "[localhost]", "localhost%",
    "localhost%zz", '"localhost"', "<localhost>", "local\thost", "localhost|", "localhost^", "{localhost}",
)  # fmt: skip

CASES: list[Case] = [
    *(taken(f"ours: {value!r}", "9112 3.2", host(value.encode())) for value in OURS),
    *(either(f"foreign: {value!r}", "9110 7.4", host(value.encode()), answers="421") for value in FOREIGN),
    *(either(f"odd: {value!r}", "9110 7.4", host(value.encode()), answers="400|421") for value in ODD),
    *(either(f"broken: {value!r}", "9112 3.2", host(value.encode()), answers="400") for value in BROKEN),
    either("a dot behind", "9110 7.2", host(b"localhost."), answers="200|400|421"),
    either("an empty port", "9110 4.2.3", host(b"localhost:"), answers="200|400"),
    either("a port too large", "9110 4.2.3", host(b"localhost:99999999999999999999"), answers="200|400|421"),
    either("an address in another base", "9110 7.4", host(b"0x7f.1"), answers="400|421"),
    either("an address as a number", "9110 7.4", host(b"2130706433"), answers="400|421"),
    either("the unspecified address", "9110 7.4", host(b"0.0.0.0"), answers="400|421"),
    either("UTF-8", "9112 3.2", host("löcalhost".encode()), answers="400|421"),
    either("a high byte", "9112 3.2", host(b"localhost\xff"), answers="400|421"),
    refused("a NUL", "9110 5.5", host(b"localhost\0")),
    refused("a NUL and a foreign name", "9110 5.5", host(b"localhost\0.evil.example")),
    either("a control character", "9112 3.2", host(b"localhost\x01"), answers="400"),
    either("missing", "9112 3.2", heads(), answers="400"),
    either("twice the same", "9112 3.2", heads(b"Host: localhost", b"Host: localhost"), answers="400"),
    either("a foreign one behind", "9112 3.2", heads(b"Host: localhost", b"Host: evil.example"), answers="400"),
    either("a foreign one before", "9112 3.2", heads(b"Host: evil.example", b"Host: localhost"), answers="400"),
    either("twice in other case", "9112 3.2", heads(b"Host: localhost", b"X: y", b"hOST: localhost"), answers="400"),
    either("twice, once empty", "9112 3.2", heads(b"Host:", b"Host: localhost"), answers="400"),
    either("twice in HTTP/1.0", "9112 3.2", heads(b"Host: localhost", b"Host: x", protocol=b"HTTP/1.0"), answers="400"),
    either("foreign in HTTP/1.0", "9110 7.4", host(b"evil.example", b"HTTP/1.0"), answers="400|421"),
    either("broken in HTTP/1.0", "9112 3.2", host(b"local host", b"HTTP/1.0"), answers="400"),
    taken("in lower case", "9110 5.1", heads(b"host: localhost")),
    taken("without a space", "9112 5", heads(b"Host:localhost")),
    taken("behind other fields", "9110 7.2", heads(b"X: y", b"Accept: */*", b"Host: localhost")),
    taken("X-Forwarded-Host is not obeyed", "9110 7.2", heads(b"Host: localhost", b"X-Forwarded-Host: evil.example")),
    taken("Forwarded is not obeyed", "7239 4", heads(b"Host: localhost", b"Forwarded: host=evil.example")),
    either("X-Forwarded-Host is no Host", "9112 3.2", heads(b"X-Forwarded-Host: localhost"), answers="400"),
    refused("a space before the colon", "9112 5.1", heads(b"Host : localhost")),
    refused("folded", "9112 5.2", heads(b"Host:\r\n localhost")),
]
