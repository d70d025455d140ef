"""Request lines: RFC 9112, sections 2.2 (parsing), 2.3 (version), 3 (request line) and 3.2 (forms of the target)."""

from tests.http.cases import GET, INNER, LENGTH, LIVE, POST, Case, either, refused, taken

HOST = b"Host: localhost\r\n"
REST = HOST + LENGTH


def line(start: bytes) -> bytes:
    """A whole request with this request line."""
    return start + b"\r\n" + REST


def version(protocol: bytes) -> bytes:
    """A whole request of this protocol and version."""
    return line(b"POST <target> " + protocol)


def target(written: bytes, host: bytes = b"localhost") -> bytes:
    """A whole request with this target."""
    return b"POST " + written + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + LENGTH


VERSIONS = [
    taken("HTTP/1.1", "9112 2.3", version(b"HTTP/1.1")),
    refused("HTTP/1.0 closes", "9112 9.3", version(b"HTTP/1.0"), answers="200"),
    refused("HTTP/1.0 needs no Host", "9112 3.2", b"POST <target> HTTP/1.0\r\n" + LENGTH, answers="200"),
    either("HTTP/1.2 may be read as HTTP/1.1", "9110 2.5", version(b"HTTP/1.2"), answers="200|400|505"),
    *(
        refused(f"version {protocol!r}", "9112 2.3", version(protocol.encode()), answers="400|501|505")
        for protocol in (
            "HTTP/2.0",
            "HTTP/2",
            "HTTP/3.0",
            "HTTP/0.9",
            "HTTP/1",
            "HTTP/1.",
            "HTTP/.1",
            "HTTP/1,1",
            "HTTP/1.10",
            "HTTP/01.1",
            "HTTP/11",
            "HTTP/1.1.1",
            "HTTP/+1.1",
            "HTTP/1.1x",
            "HTTP/1.x",
            "HTTP/ 1.1",
            "HTTP 1.1",
            "http/1.1",
            "Http/1.1",
            "HTP/1.1",
            "HTTPS/1.1",
            "RTSP/1.0",
            "RTSP/1.1",
            "ICE/1.0",
            "SIP/2.0",
            "/1.1",
        )
    ),
    refused("HTTP/0.9 has no version", "9112 3", b"GET /health/live\r\n"),
    refused("HTTP/0.9 with a head", "9112 3", b"GET /health/live\r\n" + HOST + b"\r\n"),
    refused("HTTP/2's preface", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", answers="400|501|505"),
    refused("a TLS greeting", "9112 3", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160) + b"\r\n\r\n"),
]

WHITE_SPACE = [
    *(
        refused(name, "9112 3", line(start))
        for name, start in {
            "two spaces behind the method": b"POST  <target> HTTP/1.1",
            "two spaces behind the target": b"POST <target>  HTTP/1.1",
            "a tab behind the method": b"POST\t<target> HTTP/1.1",
            "a tab behind the target": b"POST <target>\tHTTP/1.1",
            "a form feed behind the target": b"POST <target>\x0cHTTP/1.1",
            "a bare CR behind the target": b"POST <target>\rHTTP/1.1",
            "a space before the method": b" POST <target> HTTP/1.1",
            "a space behind the version": b"POST <target> HTTP/1.1 ",
            "a tab behind the version": b"POST <target> HTTP/1.1\t",
            "a word behind the version": b"POST <target> HTTP/1.1 x",
            "a space in the target": b"POST <target> x HTTP/1.1",
            "no target": b"POST HTTP/1.1",
            "no target, two spaces": b"POST  HTTP/1.1",
            "the method alone": b"POST",
            "a NUL in the method": b"PO\0ST <target> HTTP/1.1",
            "a NUL in the target": b"POST <target>\0 HTTP/1.1",
            "a NUL behind the version": b"POST <target> HTTP/1.1\0",
            "a control character in the target": b"POST <target>?\x01 HTTP/1.1",
            "DEL in the target": b"POST <target>?\x7f HTTP/1.1",
            "a high byte in the target": b"POST <target>?\xff HTTP/1.1",
            "UTF-8 in the target": b"POST <target>?\xc3\xa4 HTTP/1.1",
            "a mark of byte order": b"\xef\xbb\xbfPOST <target> HTTP/1.1",
        }.items()
    ),
    refused("a bare LF ends the line", "9112 2.2", b"POST <target> HTTP/1.1\n" + REST),
    refused("CR CR LF ends the line", "9112 2.2", b"POST <target> HTTP/1.1\r\r\n" + REST),
    refused("a bare CR ends the line", "9112 2.2", b"POST <target> HTTP/1.1\r" + REST),
    refused("LF CR ends the line", "9112 2.2", b"POST <target> HTTP/1.1\n\r" + REST),
    taken("an empty line before", "9112 2.2", b"\r\n" + POST + LENGTH),
    taken("three empty lines before", "9112 2.2", b"\r\n\r\n\r\n" + POST + LENGTH),
    taken("an empty line in a packet of its own", "9112 2.2", b"\r\n", POST + LENGTH),
    taken("half an empty line in a packet of its own", "9112 2.2", b"\r", b"\n" + POST + LENGTH),
    taken("empty lines between two", "9112 2.2", POST + LENGTH + b"\r\n\r\n" + POST + LENGTH, answers="200 200"),
    either("a bare LF before", "9112 2.2", b"\n" + POST + LENGTH, answers="200|400"),
    refused("a bare CR before", "9112 2.2", b"\r" + POST + LENGTH),
    refused("an empty line and a bare CR before", "9112 2.2", b"\r\n\r" + POST + LENGTH),
    either("an empty line and a bare LF before", "9112 2.2", b"\r\n\n" + POST + LENGTH, answers="200|400"),
    refused("an empty line and a bare CR behind", "9112 2.2", POST + LENGTH + b"\r\n\r" + INNER, answers="200 400"),
    refused("a line of a space before", "9112 2.2", b" \r\n" + POST + LENGTH),
    refused("a NUL before", "9112 2.2", b"\0" + POST + LENGTH),
]

METHODS = [
    refused("an unknown method", "9110 9.1", line(b"BREW <target> HTTP/1.1"), answers="501"),
    refused("a method in lower case", "9110 9.1", line(b"post <target> HTTP/1.1"), answers="501"),
    refused("a method in mixed case", "9110 9.1", line(b"Post <target> HTTP/1.1"), answers="501"),
    refused("a method behind a known one's letters", "9110 9.1", line(b"POSTX <target> HTTP/1.1"), answers="501"),
    refused("a method that is no token", "9112 3.1", line(b"PO(ST <target> HTTP/1.1")),
    refused("an empty method", "9112 3.1", line(b" <target> HTTP/1.1")),
    refused("a method of 40 kB", "9112 3", line(b"P" * 40_000 + b" <target> HTTP/1.1"), answers="400|414|431|501"),
    either("PROPFIND", "9110 15.5.6", line(b"PROPFIND <target> HTTP/1.1"), answers="405|501"),
    either("TRACE", "9110 9.3.8", b"TRACE /health/live HTTP/1.1\r\n" + HOST + b"\r\n", answers="405|501"),
    either("TRACE with a body", "9110 9.3.8", line(b"TRACE <target> HTTP/1.1"), answers="400|405|501"),
    either("OPTIONS", "9110 9.3.7", b"OPTIONS <target> HTTP/1.1\r\n" + HOST + b"\r\n", answers="200|204|405"),
    taken("GET where a POST is meant", "9110 15.5.6", b"GET <target> HTTP/1.1\r\n" + HOST + b"\r\n", answers="405"),
    taken("DELETE with a body", "9110 9.3.5", line(b"DELETE <target> HTTP/1.1"), answers="405"),
    taken("PUT with a body", "9110 9.3.4", line(b"PUT <target> HTTP/1.1"), answers="405"),
    *(
        refused(f"CONNECT {name}", "9110 9.3.6", line(b"CONNECT " + written + b" HTTP/1.1"), answers="400|405|501")
        for name, written in {
            "an authority": b"localhost:1",
            "a path": b"<target>",
            "a URI": b"http://localhost/",
        }.items()
    ),
    *(
        Case(
            f"HEAD {path}", "9110 9.3.2", (f"HEAD {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n",), status, is_head=True
        )
        for path, status in {
            "/health/live": "200",
            "/health/ready": "200",
            "/metrics": "200",
            "/": "200",
            "/docs": "200",
            "/predict": "405",
            "/predict/batch": "405",
            "/nowhere": "404",
        }.items()
    ),
    Case("HEAD with a body", "9110 9.3.2", (b"HEAD /health/live HTTP/1.1\r\n" + REST,), "200|400", None, is_head=True),
]

TARGETS = [
    taken("the absolute form", "9112 3.2.2", target(b"http://localhost<target>")),
    taken("the absolute form with a port", "9112 3.2.2", target(b"http://localhost:80<target>", b"localhost:80")),
    taken("the absolute form in upper case", "9112 3.2.2", target(b"HTTP://LOCALHOST<target>")),
    either("the absolute form of https", "9110 7.4", target(b"https://localhost<target>"), answers="200|400|421"),
    refused("the absolute form without a path", "9112 3.2.1", b"GET http://localhost HTTP/1.1\r\n" + HOST + b"\r\n"),
    refused(
        "the absolute form with a query alone", "9112 3.2.1", b"GET http://localhost?x HTTP/1.1\r\n" + HOST + b"\r\n"
    ),
    refused("the absolute form without Host", "9112 3.2", b"POST http://localhost<target> HTTP/1.1\r\n" + LENGTH),
    either("a foreign URI", "9112 3.2.2", target(b"http://evil.example<target>"), answers="400|421"),
    either(
        "a foreign URI and Host", "9112 3.2.2", target(b"http://evil.example<target>", b"evil.example"), answers="421"
    ),
    either(
        "a foreign Host behind a URI",
        "9112 3.2.2",
        target(b"http://localhost<target>", b"evil.example"),
        answers="200|400|421",
    ),
    either("a URI with a user", "9110 4.2.4", target(b"http://user@localhost<target>"), answers="400|421"),
    either(
        "a URI with a foreign user", "9110 4.2.4", target(b"http://evil.example@localhost<target>"), answers="400|421"
    ),
    either("a URI without a host", "9110 4.2.1", target(b"http://<target>"), answers="400|404|421"),
    either("a URI with an empty host", "9110 4.2.1", target(b"http:///<target>"), answers="400|421"),
    either("a URI of another scheme", "9110 7.4", target(b"ftp://localhost<target>"), answers="400|421"),
    either("OPTIONS *", "9112 3.2.4", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", answers="200|204|404|405|501"),
    either("GET *", "9112 3.2.4", b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", answers="400"),
    either("POST *", "9112 3.2.4", target(b"*"), answers="400"),
    either("POST *<target>", "9112 3.2.4", target(b"*<target>"), answers="400"),
    either("the authority form", "9112 3.2.3", target(b"localhost:80"), answers="400"),
    either("a target without a slash", "9112 3.2.1", target(b"predict"), answers="400"),
    either("a fragment", "9112 3.2.1", target(b"<target>#x"), answers="400"),
    either("a backslash", "9112 3.2.1", target(b"\\<target>"), answers="400"),
    either("two slashes", "9112 3.2.1", target(b"/<target>"), answers="400|404"),
    taken("a slash behind", "9112 3.2.1", target(b"<target>/"), answers="404"),
    taken(
        "a slash behind and a foreign Host's name in the query",
        "9112 3.2.1",
        target(b"<target>/?//evil"),
        answers="404",
    ),
    either("dots", "9112 3.2.1", target(b"/x/..<target>"), answers="400|404"),
    either("an encoded NUL", "9112 3.2.1", target(b"<target>%00"), answers="400|404"),
    either("an encoded line end", "9112 3.2.1", target(b"<target>%0d%0aX:%20y"), answers="400|404"),
    either("an encoding that is none", "9112 3.2.1", target(b"<target>%zz"), answers="400|404"),
    either("an encoded high byte", "9112 3.2.1", target(b"<target>%ff"), answers="400|404"),
    either("an encoded letter", "9110 4.2.3", target(b"/%70redict"), answers="200|400|404"),
    taken("a query", "9112 3.2.1", target(b"<target>?x=1&y=%20&z")),
    taken("a target of 8,000 bytes", "9112 3", target(b"<target>?" + b"x" * 8000)),
    refused("a target of 40,000 bytes", "9112 3", target(b"<target>?" + b"x" * 40_000), answers="414"),
    refused("a target without an end", "9112 3", b"POST /" + b"x" * 70_000, answers="414"),
]

CASES = [
    *VERSIONS,
    *WHITE_SPACE,
    *METHODS,
    *TARGETS,
    taken("two at once", "9112 9.3.2", LIVE + GET + b"\r\n", answers="200 200"),
]
