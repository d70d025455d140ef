"""Multipart bodies and how each must be read: the corpus of `test_uploads`.

Every form names the RFC and section that decides it. Where the RFCs leave a choice, the reading is that of werkzeug
3.1.8 or of python-multipart 0.0.34 (whose readings differ in 21 of these forms). Both also read a boundary of 71
characters, which RFC 2046 forbids.
"""

from typing import NamedTuple


class Form(NamedTuple):
    """A multipart body; `reading` is the contents of the files in the field `files`, or words of the refusal."""

    section: str
    title: str
    body: bytes
    reading: list[bytes] | str


def disposition(parameters: str) -> bytes:
    return f"Content-Disposition: form-data; {parameters}".encode()


USUAL = disposition('name="files"; filename="a.png"')
OTHER = disposition('name="other"')
TYPE = b"Content-Type: image/png"


def part(*headers: bytes, content: bytes = b"pixels", boundary: bytes = b"b") -> bytes:
    return b"\r\n".join([b"--" + boundary, *headers, b"", content, b""])


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(parts) + b"--" + boundary + b"--\r\n"


def named(parameters: str) -> bytes:
    return form(part(disposition(parameters)))


def bounded(boundary: bytes) -> bytes:
    return form(part(USUAL, boundary=boundary), boundary=boundary)


def holding(content: bytes) -> tuple[bytes, list[bytes]]:
    """A form with this content, and its reading."""
    return form(part(USUAL, content=content)), [content]


ONE = form(part(USUAL))
PIXELS = [b"pixels"]
EURO = "filename*=UTF-8''%e2%82%ac.png"
NO_FILE, CUT_OFF, NO_BOUNDARY, NO_HEADERS = "must be a file", "last boundary", "no boundary", "no headers"

PARAMETERS = [
    Form("RFC 7578, 4.2", "quoted", ONE, PIXELS),
    Form("RFC 2045, 5.1", "tokens", named("name=files; filename=a.png"), PIXELS),
    Form("RFC 2183, 2", "filename first", named('filename="a.png"; name="files"'), PIXELS),
    Form("RFC 7578, 4.2", "a field without a filename", named('name="files"'), "fields sent: 'files'"),
    Form("RFC 7578, 4.2", "no name", named('filename="a.png"'), "fields sent: ''"),
    Form("RFC 7578, 4.2", "another name", named('name="image"; filename="a.png"'), "fields sent: 'image'"),
    Form("RFC 7578, 4.2", "empty filename", named('name="files"; filename=""'), PIXELS),
    Form("RFC 2045, 5.1", "no spaces", named('name="files";filename="a.png"'), PIXELS),
    Form("RFC 2045, 5.1", "tabs", named('name="files";\t\tfilename="a.png"'), PIXELS),
    Form("RFC 2045, 5.1", "space before a semicolon", named('name="files" ; filename="a.png"'), PIXELS),
    Form("RFC 2045, 5.1", "semicolon at the end", named('name="files"; filename="a.png";'), PIXELS),
    Form("RFC 2045, 5.1", "parameter names in capitals", named('NAME="files"; FileName="a.png"'), PIXELS),
    Form("RFC 2045, 5.1", "a value's case matters", named('name="Files"; filename="a.png"'), "fields sent: 'Files'"),
    Form("RFC 2183, 2", "unknown parameters", named('size=6; name="files"; filename="a.png"; x="y"'), PIXELS),
    Form("RFC 2045, 5.1", "name in the filename", named('name="x"; filename="a; name=files; b"'), "fields sent: 'x'"),
    Form("RFC 2045, 5.1", "filename in the name", named('name="files; filename=a"'), NO_FILE),
    Form("RFC 2045, 5.1", "semicolons in the filename", named('name="files"; filename="a;b;c=d.png"'), PIXELS),
    Form("RFC 822, 3.3", "escaped quotes", named(r'filename="a\"; name=x; \".png"; name="files"'), PIXELS),
    Form("RFC 822, 3.3", "one escaped quote", named(r'filename="a\"b.png"; name="files"'), PIXELS),
    Form("RFC 822, 3.3", "escaped backslash", named(r'filename="a\\"; name="files"'), PIXELS),
    Form("RFC 822, 3.3", "escaped quote in the name", named(r'name="files\""; filename="a"'), NO_FILE),
    Form("RFC 7578, 2", "percent-encoded quotes", named('name="files"; filename="a%22; name=%22x.png"'), PIXELS),
    Form("RFC 7578, 2", "percent-encoded letter", named('name="%66iles"; filename="a"'), "fields sent: '%66iles'"),
    Form("RFC 7578, 4.2", "a path of Windows", named(r'name="files"; filename="C:\temp\new.png"'), PIXELS),
    Form("RFC 7578, 5.1", "filename in UTF-8", named('name="files"; filename="€ 数字.png"'), PIXELS),
    Form("RFC 7578, 4.2", "filename* alone (aiohttp)", named(f'name="files"; {EURO}'), PIXELS),
    Form("RFC 7578, 4.2", "filename and filename* (.NET)", named(f"name=files; filename=a.png; {EURO}"), PIXELS),
    Form("RFC 2231, 3", "filename in pieces", named('name="files"; filename*0="a"; filename*1=".png"'), PIXELS),
    Form("RFC 7578, 4.2", "name* alone", named("name*=UTF-8''files; filename=\"a\""), "fields sent: ''"),
    Form("RFC 2183, 2", "name twice: the last", named('name="other"; name="files"; filename="a"'), PIXELS),
    Form("RFC 2183, 2", "name twice, other last", named('name="files"; name="other"; filename="a"'), "sent: 'other'"),
    Form("RFC 2183, 2", "name behind", named('name="files"; filename="a"; name="other"'), "fields sent: 'other'"),
    Form("RFC 2045, 5.1", "unclosed quote", named('name="files; filename=a.png'), NO_FILE),
    Form("RFC 2045, 5.1", "unclosed quote at the end", named('name="files"; filename="a.png'), PIXELS),
    Form("RFC 2045, 5.1", "name without a value", named('name; filename="a"'), "fields sent: ''"),
    Form("RFC 7578, 4.2", "no parameters", form(part(b"Content-Disposition: form-data")), "fields sent: ''"),
]

HEADERS = [
    Form("RFC 7578, 4.4", "type behind", form(part(USUAL, TYPE)), PIXELS),
    Form("RFC 7578, 4.4", "type first (aiohttp, .NET)", form(part(TYPE, USUAL)), PIXELS),
    Form("RFC 7578, 4.8", "other headers", form(part(b"X-A: 1", USUAL, b'X-B: ; name="other"')), PIXELS),
    Form("RFC 7578, 4.8", "length of the part (OkHttp)", form(part(USUAL, TYPE, b"Content-Length: 6")), PIXELS),
    Form("RFC 7578, 4.7", "binary", form(part(USUAL, b"Content-Transfer-Encoding: binary")), PIXELS),
    Form("RFC 7578, 4.7", "base64 stays", form(part(USUAL, b"Content-Transfer-Encoding: base64")), PIXELS),
    Form("RFC 822, 3.4.7", "lower case", form(part(USUAL.lower())), PIXELS),
    Form("RFC 822, 3.2", "no space behind the colon", form(part(USUAL.replace(b": ", b":"))), PIXELS),
    Form("RFC 822, 3.1.1", "folded", form(part(USUAL.replace(b"; ", b";\r\n "))), PIXELS),
    Form("RFC 822, 3.1.1", "folded by a tab", form(part(TYPE, USUAL.replace(b" filename", b"\r\n\tfilename"))), PIXELS),
    Form("RFC 822, 3.1.1", "inside a folded header", form(part(OTHER, b"X: y\r\n " + USUAL)), "fields sent: 'other'"),
    Form("RFC 7578, 4.2", "disposition twice: the first", form(part(USUAL, OTHER)), PIXELS),
    Form("RFC 7578, 4.2", "disposition twice, other first", form(part(OTHER, USUAL)), "fields sent: 'other'"),
    Form("RFC 7578, 4.2", "disposition in another header", form(part(b"X: y", b"X-" + USUAL)), "fields sent: ''"),
    Form("RFC 2046, 5.1", "disposition in the content", form(part(OTHER, content=b"\r\n" + USUAL)), "sent: 'other'"),
    Form("RFC 7578, 4.2", "attachment", form(part(USUAL.replace(b"form-data", b"attachment"))), PIXELS),
    Form("RFC 2046, 5.1", "no headers, a blank line", form(part(content=b"x"), part(USUAL)), PIXELS),
    Form("RFC 2046, 5.1", "no blank line", form(b"--b\r\n" + USUAL + b"\r\n"), NO_HEADERS),
    Form("RFC 2046, 5.1.1", "headers alone: an empty file", form(b"--b\r\n" + USUAL + b"\r\n\r\n"), [b""]),
    Form("RFC 2046, 5.1.1", "boundary in the headers", form(b"--b\r\nX: y\r\n" + part(USUAL)), NO_HEADERS),
    Form("RFC 822, 3.2", "100 header lines", form(part(*[b"X: y"] * 100, USUAL)), PIXELS),
    Form("RFC 822, 3.2", "headers of 8,000 bytes", form(part(b"X: " + b"y" * 7950, USUAL)), PIXELS),
    Form("RFC 822, 3.2", "headers of 9,000 bytes", form(part(b"X: " + b"y" * 8950, USUAL)), "8,192 bytes"),
    Form("RFC 2046, 5.1.1", "LF in the headers", ONE.replace(b"\r\n\r\n", b"\n\n"), NO_HEADERS),
]

PARTS = [
    Form("RFC 7578, 4.3", "two files", form(part(USUAL, content=b"1"), part(USUAL, content=b"2")), [b"1", b"2"]),
    Form("RFC 7578, 5.2", "order", form(part(USUAL, content=b"2"), part(OTHER), part(USUAL)), [b"2", b"pixels"]),
    Form("RFC 7578, 4.6", "_charset_", form(part(disposition('name="_charset_"')), part(USUAL)), PIXELS),
    Form("RFC 7578, 4.3", "nested", form(part(OTHER, b"Content-Type: multipart/mixed; boundary=c")), "sent: 'other'"),
    Form("RFC 7578, 4.3", "a form inside a file", *holding(form(part(USUAL, boundary=b"c"), boundary=b"c"))),
    Form("RFC 2046, 5.1.1", "no part", b"--b\r\n--b--\r\n", NO_HEADERS),
    Form("RFC 2046, 5.1.1", "the last boundary alone", b"--b--\r\n", CUT_OFF),
]

CONTENTS = [
    Form("RFC 2046, 5.1.1", "empty file", *holding(b"")),
    Form("RFC 2046, 5.1.1", "line end", *holding(b"\r\n")),
    Form("RFC 2046, 5.1.1", "blank lines", *holding(b"\r\n\r\n\r\n")),
    Form("RFC 2046, 5.1.1", "CR at the end", *holding(b"pixels\r")),
    Form("RFC 2046, 5.1.1", "all bytes", *holding(bytes(range(256)))),
    Form("RFC 2046, 5.1.1", "boundary inside a line", *holding(b"x--b--\r\nx--b\r\n")),
    Form("RFC 2046, 5.1.1", "boundary behind LF", *holding(b"x\n--b\n--b--\n")),
    Form("RFC 2046, 5.1.1", "boundary behind CR", *holding(b"x\r--b\r--b--\r")),
    Form("RFC 2046, 5.1.1", "half a boundary", *holding(b"\r\n--\r\n-b\r\n--B\r\n")),
    Form("RFC 2046, 5.1.1", "lines that begin like the boundary", *holding(b"\r\n--bc\r\n--b-\r\n--b x\r\n")),
    Form("RFC 2046, 5.1.1", "boundary, CR, no LF", *holding(b"\r\n--b\rx")),
    Form("RFC 2046, 5.1.1", "boundary as the first line", form(part(USUAL, content=b"--b\r\nx")), NO_HEADERS),
]

BOUNDARIES = [
    Form("RFC 2046, 5.1.1", "a browser's", bounded(b"----WebKitFormBoundary7MA4YWxkTrZu0gW"), PIXELS),
    Form("RFC 2046, 5.1.1", "punctuation", bounded(b"'()+_,-./:=?09azAZ"), PIXELS),
    Form("RFC 2046, 5.1.1", "space inside", bounded(b"a b"), PIXELS),
    Form("RFC 2046, 5.1.1", "characters that are not allowed", bounded(b'a.*[b]"'), PIXELS),
    Form("RFC 2046, 5.1.1", "longest", bounded(b"b" * 70), PIXELS),
    Form("RFC 2046, 5.1.1", "too long", bounded(b"b" * 71), NO_BOUNDARY),
    Form("RFC 2046, 5.1.1", "empty", bounded(b""), NO_BOUNDARY),
    Form("RFC 2046, 5.1.1", "padded", ONE.replace(b"--b\r\n", b"--b \t \r\n"), PIXELS),
    Form("RFC 2046, 5.1.1", "longest, padded", bounded(b"b" * 70).replace(b"b\r\n", b"b  \r\n"), PIXELS),
    Form("RFC 2046, 5.1.1", "last one padded", ONE[:-2] + b" \t\r\n", PIXELS),
    Form("RFC 2046, 5.1.1", "last one with three dashes", ONE[:-2] + b"-\r\n", PIXELS),
    Form("RFC 2046, 5.1.1", "no line end behind the last", ONE[:-2], PIXELS),
    Form("RFC 2046, 5.1.1", "empty line before the first", b"\r\n" + ONE, PIXELS),
    Form("RFC 2046, 5.1.1", "epilogue", ONE + b"epilogue", PIXELS),
    Form("RFC 2046, 5.1.1", "a form as the epilogue", ONE + ONE, PIXELS),
    Form("RFC 2046, 5.1.1", "preamble", b"preamble\r\n" + ONE, "send the images as multipart"),
    Form("RFC 2046, 5.1.1", "LF alone", ONE.replace(b"\r\n", b"\n"), NO_BOUNDARY),
    Form("RFC 2046, 5.1.1", "CR alone", ONE.replace(b"\r\n", b"\r"), NO_BOUNDARY),
    Form("RFC 2046, 5.1.1", "no last boundary", part(USUAL), CUT_OFF),
    Form("RFC 2046, 5.1.1", "another last boundary", form(part(USUAL), boundary=b"c"), CUT_OFF),
    Form("RFC 2046, 5.1.1", "half a last boundary", part(USUAL) + b"--b-", CUT_OFF),
    Form("RFC 2046, 5.1.1", "cut inside the content", part(USUAL)[:-5], CUT_OFF),
    Form("RFC 2046, 5.1.1", "cut inside the headers", part(USUAL)[:30], CUT_OFF),
]

FORMS = PARAMETERS + HEADERS + PARTS + CONTENTS + BOUNDARIES
