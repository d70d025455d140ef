"""Heads of requests that came before: the same bytes again mean the same, and need no parsing.

Clients that keep their connection send the same head with every request, but for a few lengths of the body. Only heads
that were parsed with their whole body and nothing else behind it are kept, so what a head is followed by is certain.
"""

import re
from typing import NamedTuple

from serving.http.answers import Kind

MAX_BYTES = 1024
"""Longer heads are not kept."""
MAX_HEADS = 4096
"""How many are; beyond that all are forgotten, since those of today are soon back."""
END = b"\r\n\r\n"
FORM = re.compile(rb"(\r\n[Cc]ontent-[Tt]ype: ?multipart/form-data; ?boundary=)[0-9A-Za-z'()+_,./:=?\"-]{1,72}(?=\r\n)")
"""Clients draw a new boundary (RFC 2046, section 5.1.1) for each form, which is read off the body's first line here."""


class Head(NamedTuple):
    """What a request asks for before its body."""

    kind: Kind
    request_id: bytes | None
    keep_alive: bool


class KnownHeads:
    """What was parsed before."""

    def __init__(self) -> None:
        self._heads: dict[bytes, tuple[Head, int]] = {}

    def split(self, data: bytes) -> tuple[Head, bytes] | None:
        """Head and body, when `data` is one whole request with a known head."""
        end = data.find(END, 0, MAX_BYTES) + len(END)
        known = self._heads.get(data[:end]) or self._heads.get(_but_for_boundary(data[:end]))
        return (known[0], data[end:]) if known is not None and known[1] == len(data) - end else None

    def remember(self, data: bytes, head: Head, body: bytes) -> None:
        """Keeps the head in `data`, one whole request that was parsed as `head` with `body`.

        One with an id of its own will not come again. A chunked body (RFC 9112, section 7.1) is not what stands in
        `data` and tells nothing of the next one's length.
        """
        end = data.find(END, 0, MAX_BYTES) + len(END)
        if end < len(END) or data[end:] != body or head.request_id is not None:
            return
        if len(self._heads) >= MAX_HEADS:
            self._heads.clear()
        self._heads[_but_for_boundary(data[:end])] = head, len(body)


def _but_for_boundary(head: bytes) -> bytes:
    return FORM.sub(rb"\1", head, 1) if b"boundary=" in head else head
