"""What is sent back, whichever door the request came in by."""

from typing import NamedTuple

JSON, OCTETS, PROBLEM = "application/json", "application/octet-stream", "application/problem+json"


class Reply(NamedTuple):
    """Status, headers and content of one answer."""

    content: bytes
    media_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    """Besides Content-Type, Content-Length and what the gate adds."""
