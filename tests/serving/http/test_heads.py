import pytest

from serving.http.answers import PREDICT
from serving.http.heads import MAX_HEADS, Head, KnownHeads

RAW = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
HEAD = Head(PREDICT, None, True)


def test_the_same_bytes_mean_the_same() -> None:
    known = KnownHeads()
    assert known.split(RAW + b"body") is None
    known.remember(RAW + b"body", HEAD, b"body")
    assert known.split(RAW + b"ydob") == (HEAD, b"ydob")
    for other in (RAW + b"bod", RAW + b"body+", RAW, RAW[1:] + b"body", b"\r\n" + RAW + b"body", RAW.lower() + b"body"):
        assert known.split(other) is None


def form(boundary: bytes, name: bytes = b"Content-Type") -> bytes:
    return RAW.replace(b"Host", name + b": multipart/form-data; boundary=" + boundary + b"\r\nHost") + b"body"


def test_forms_may_differ_in_their_boundary_and_in_nothing_else() -> None:
    known = KnownHeads()
    known.remember(form(b"----x9"), HEAD, b"body")
    assert known.split(form(b"----y\"'()+_,./:=?")) == (HEAD, b"body")
    for other in (
        form(b"x", b"Accept"),
        form(b"x\nContent-Length: 9"),
        form(b"x\0"),
        form(b"x\xff"),
        form(b"x" * 73),
        form(b"x; charset=utf-8"),
        form(b"x\r\nX-Request-ID: boundary=1"),
        RAW + b"body",
    ):
        assert known.split(other) is None


def test_a_boundary_elsewhere_is_no_boundary() -> None:
    known = KnownHeads()
    known.remember(form(b"application/octet-stream", b"Accept"), HEAD, b"body")
    assert known.split(form(b"text/plain", b"Accept")) is None
    assert known.split(form(b"application/octet-stream", b"Accept")) == (HEAD, b"body")


@pytest.mark.parametrize(
    ("data", "head", "body"),
    [
        (RAW + b"body" + RAW + b"body", HEAD, b"body"),  # two requests at once
        (RAW[:20], HEAD, b""),  # no end
        (RAW + b"4\r\nbody\r\n0\r\n\r\n", HEAD, b"body"),  # chunked
        (RAW + b"body", Head(PREDICT, b"mine", True), b"body"),  # will not come again
        (b"POST / HTTP/1.1\r\nX: " + b"x" * 2000 + b"\r\n\r\nbody", HEAD, b"body"),
        (b"", HEAD, b"body"),  # its first bytes came before
    ],
)
def test_what_is_not_kept(data: bytes, head: Head, body: bytes) -> None:
    known = KnownHeads()
    known.remember(data, head, body)
    assert known.split(data) is None
    assert known.split(RAW + b"body") is None


def test_they_are_limited() -> None:
    known = KnownHeads()
    for number in range(MAX_HEADS + 1):
        raw = RAW.replace(b"x", b"%d" % number)
        known.remember(raw + b"body", HEAD, b"body")
        assert known.split(raw + b"body") == (HEAD, b"body")
    assert known.split(RAW.replace(b"x", b"0") + b"body") is None
