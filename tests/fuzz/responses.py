"""What came back on a connection: bytes → statuses, and what is wrong with the bytes as HTTP/1.1."""

import re

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [ -~]*")
FIELD_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[\t -~\x80-\xff]*")
HEAD_END = b"\r\n\r\n"


def parse(received: bytes, heads: bool) -> tuple[list[int], str]:
    """The statuses of all responses, in order, and the first complaint, empty if there is none.

    `heads`: some of the requests may be HEAD, whose answers announce a length and have no body.
    """
    statuses: list[int] = []
    at = 0
    while at < len(received):
        end = received.find(HEAD_END, at)
        if end < 0:
            return statuses, f"half a head: {received[at : at + 200]!r}"
        line, *lines = received[at:end].split(b"\r\n")
        if not (found := STATUS_LINE.fullmatch(line)) or not all(map(FIELD_LINE.fullmatch, lines)):
            return statuses, f"no head of a response: {received[at:end][:300]!r}"
        status, at = int(found[1]), end + len(HEAD_END)
        statuses.append(status)
        if status < 200 or status in (204, 304):
            continue
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        if heads and (at == len(received) or received.startswith(b"HTTP/1.", at)):
            continue
        length = _body_length(headers, received, at)
        if length is None or at + length > len(received):
            return statuses, f"the body of a {status} is cut off or has no length"
        at += length
    return statuses, ""


def _body_length(headers: dict[bytes, bytes], received: bytes, at: int) -> int | None:
    """Bytes of the body that begins at `at`; None if they cannot be told."""
    if headers.get(b"transfer-encoding") == b"chunked":
        end = re.compile(rb"(?:^|\r\n)0\r\n\r\n").search(received, at)
        return end.end() - at if end else None
    length = headers.get(b"content-length", b"")
    return int(length) if length.isdigit() else None
