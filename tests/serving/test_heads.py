import pytest

from serving.answers import PREDICT
from serving.heads import MAX_HEADS, Head, KnownHeads

RAW = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
HEAD = Head(PREDICT, None, True)


def test_the_same_bytes_mean_the_same() -> None:
    known = KnownHeads()
    assert known.split(RAW + b"body") is None
    known.remember(RAW + b"body", HEAD, b"body")
    assert known.split(RAW + b"ydob") == (HEAD, b"ydob")
    for other in (RAW + b"bod", RAW + b"body+", RAW, RAW[1:] + b"body", b"\r\n" + RAW + b"body", RAW.lower() + b"body"):
        assert known.split(other) is None


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
