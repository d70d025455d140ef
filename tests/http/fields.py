"""Field lines: RFC 9112, sections 2.2, 5 (syntax), 5.1 (names) and 5.2 (folding); RFC 9110, section 5.5 (values)."""

from tests.http.cases import HIDDEN, LENGTH, POST, Case, either, refused, taken


def field(line: bytes) -> bytes:
    """A whole request with one field line more."""
    return POST + line + b"\r\n" + LENGTH


NAMES = {
    "a space before the colon": b"X : y",
    "a tab before the colon": b"X\t: y",
    "a space in the name": b"X Y: z",
    "no name": b": y",
    "only a colon": b":",
    "no colon": b"X",
    "a colon in a line of spaces": b" : y",
    "a bracket in the name": b"X(: y",
    "an at sign in the name": b"X@: y",
    "a quote in the name": b'"X": y',
    "a comma in the name": b"X,: y",
    "a slash in the name": b"X/: y",
    "a semicolon in the name": b"X;: y",
    "a NUL in the name": b"X\0: y",
    "a control character in the name": b"X\x01: y",
    "DEL in the name": b"X\x7f: y",
    "a vertical tab before the name": b"\x0bX: y",
    "a bare CR before the name": b"\rX: y",
    "a high byte in the name": b"X\xff: y",
    "UTF-8 in the name": "Ä: y".encode(),
    "a space before the colon of Content-Length": b"Content-Length : 0",
    "a space before the colon of Transfer-Encoding": b"Transfer-Encoding : chunked",
    "a second request line": b"GET / HTTP/1.1",
}
VALUES = {
    "a NUL in the value": b"X: a\0b",
    "a bare CR in the value": b"X: a\rb",
    "a bare CR before the line's end": b"X: a\r",
    "a bare CR hides a field": b"X: a\rContent-Length: 0",
    "a bare LF hides a field": b"X: a\nContent-Length: 0",
    "a bare LF ends the line": b"X: a\nY: b",
    "a bare LF before the line's end": b"X: a\n",
    "LF CR ends the line": b"X: a\n\rY: b",
    "folded by a space": b"X: a\r\n b",
    "folded by a tab": b"X: a\r\n\tb",
    "folded, nothing behind it": b"X: a\r\n ",
    "a folded field name": b"X\r\n : a",
    "an empty value folded": b"X:\r\n a",
}
ALLOWED = {
    "no space behind the colon": b"X:y",
    "spaces and tabs around the value": b"X: \t y \t ",
    "an empty value": b"X:",
    "a value of spaces": b"X:   ",
    "a tab in the value": b"X: a\tb",
    "colons in the value": b"X: : a:b :",
    "obsolete text": b"X: \xe4\xff\x80",
    "UTF-8 in the value": "X: ä".encode(),
    "every character of a token": b"!#$%&'*+-.^_`|~09AZaz: y",
    "an empty value of a list": b"Accept: ,,",
    "a value that looks like a field": b"X: Content-Length: 0",
    "a value that looks like a line end": b"X: \\r\\nContent-Length: 0",
    "an underscore is no hyphen": b"Content_Length: 0",
    "an underscore is no hyphen in a coding": b"Transfer_Encoding: chunked",
    "a longer name": b"X-Content-Length: 0",
    "a longer name of a coding": b"Transfer-Encoding-X: chunked",
    "a dot before a coding": b".Transfer-Encoding: chunked",
    "the same name twice": b"X: a\r\nX: b",
    "Content-Encoding is no coding of the transfer": b"Content-Encoding: identity",
    "TE is an offer": b"TE: trailers, chunked",
    "100 fields": b"\r\n".join(b"X-%d: y" % number for number in range(100)),
    "a field of 8,000 bytes": b"X: " + b"y" * 8000,
}

CASES: list[Case] = [
    *(refused(name, "9112 5.1", field(line)) for name, line in NAMES.items()),
    *(refused(name, "9112 2.2", field(line)) for name, line in VALUES.items()),
    *(taken(name, "9112 5", field(line)) for name, line in ALLOWED.items()),
    either("a control character in the value", "9110 5.5", field(b"X: a\x01b"), answers="200|400"),
    either("DEL in the value", "9110 5.5", field(b"X: a\x7fb"), answers="200|400"),
    refused(
        "white space before the first field", "9112 2.2", b"POST <target> HTTP/1.1\r\n Host: localhost\r\n" + LENGTH
    ),
    refused(
        "a space line before the first field",
        "9112 2.2",
        b"POST <target> HTTP/1.1\r\n \r\nHost: localhost\r\n" + LENGTH,
    ),
    refused("bare LFs end the head", "9112 2.2", POST + b"Content-Length: <length>\n\n<body>"),
    refused("LF, CR LF end the head", "9112 2.2", POST + b"Content-Length: <length>\n\r\n<body>"),
    refused("CR LF, LF end the head", "9112 2.2", POST + b"Content-Length: <length>\r\n\n<body>"),
    refused("CR LF, CR end the head", "9112 2.2", POST + b"Content-Length: <length>\r\n\r<body>"),
    refused("CR CR LF end a field", "9112 2.2", POST + b"Content-Length: <length>\r\r\n\r\n<body>"),
    either("two request ids", "9110 5.3", field(b"X-Request-ID: a\r\nX-Request-ID: b"), answers="400"),
    taken("an empty request id", "9110 5.5", field(b"X-Request-ID:")),
    taken("a request id that is too long", "9110 5.5", field(b"X-Request-ID: " + b"x" * 200)),
    taken("a request id in another field's value", "9112 5", field(b"X: X-Request-ID: " + HIDDEN)),
    either("1,000 fields", "9110 5.4", field(b"X: y\r\n" * 999 + b"X: y"), answers="200|431"),
    refused("a field of 40,000 bytes", "9110 5.4", field(b"X: " + b"y" * 40_000), answers="431"),
    refused("a name of 40,000 bytes", "9110 5.4", field(b"X" * 40_000 + b": y"), answers="431"),
    refused("10,000 fields", "9110 5.4", field(b"X: y\r\n" * 9_999 + b"X: y"), answers="431"),
    refused("fields without an end", "9110 5.4", POST + b"X: y\r\n" * 20_000, answers="431"),
    refused("a field without an end", "9110 5.4", POST + b"X: " + b"y" * 70_000, answers="431"),
    refused("a folded field without an end", "9110 5.4", POST + b"X: y\r\n" + b" y\r\n" * 20_000, answers="400|431"),
]
