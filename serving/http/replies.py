"""What is sent back, whichever door the request came in by."""

from http import HTTPStatus
from typing import NamedTuple

JSON, OCTETS, PROBLEM = "application/json", "application/octet-stream", "application/problem+json"
NPY, NPZ, CSV = "application/x-npy", "application/x-npz", "text/csv"
REQUEST_ID = "X-Request-ID"
CLOSE = "connection: close\r\n"
STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Reply(NamedTuple):
    """Status, headers and content of one answer."""

    content: bytes
    media_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    """Besides Content-Type, Content-Length and what the gate adds."""

    def message(self, server_lines: bytes, own_id: str, last: bool) -> bytes:
        """The whole HTTP/1.1 message; `server_lines` are header lines that every answer has."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.headers])
        lines = f"content-type: {self.media_type}\r\n{lines}content-length: {len(self.content)}\r\n"
        lines = f"{lines}{REQUEST_ID}: {own_id}\r\n{CLOSE if last else ''}\r\n"
        return b"".join((STATUS_LINES[self.status], server_lines, lines.encode("latin-1"), self.content))
