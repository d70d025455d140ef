"""What is known of one picture file besides its pixels."""

import builtins
from dataclasses import dataclass

KNOWN = "known"
"""What a reader says in place of an error when it left out to decode what was decoded before."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file, as its decoder found it."""

    digest: builtins.bytes
    """SHA-256 of the content; empty where it could not be read."""
    bytes: int
    format: str
    """As Pillow names it, such as `JPEG`; empty where it is no picture."""
    mode: str
    """How pixels are stored, as Pillow names it: `RGB`, `L`, `CMYK`, `I;16`, …"""
    width: int
    height: int
    """As stored, before it is turned upright."""
    error: str | None = None
    """Why it cannot be used."""
    gray: bool = False
    """Whether no pixel has a colour."""
    pixels: builtins.bytes = b""
    """SHA-256 of the decoded picture, before it comes to any model's size."""

    @property
    def good(self) -> bool:
        """Whether it can be used."""
        return self.error is None


def unread(error: str, digest: bytes = b"", size: int = 0) -> FileInfo:
    """Of a file of which nothing else is known."""
    return FileInfo(digest, size, "", "", 0, 0, error)
