"""Names of files: as they are told to people, and when two of them are the same to a person."""

import unicodedata
from collections.abc import Sequence
from pathlib import PurePath

LISTED = 3
"""How many names a message tells before it counts the rest."""
LONG = 300
"""Characters of a name that it tells."""


def encodable(name: str) -> str:
    r"""The name with bytes that are no UTF-8 written as `\xff`, so that every file and terminal takes it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown(name: str | PurePath) -> str:
    r"""The name for a line of text: line ends, colours of terminals and the like written as `\n`, `\x1b`, …"""
    printable = (one if unicodedata.category(one)[0] != "C" else ascii(one)[1:-1] for one in encodable(str(name)))
    return "".join(printable)


def listed(names: Sequence[str], most: int = LISTED) -> str:
    """The first names, and how many more there are."""
    first = ", ".join(_short(shown(name)) for name in names[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most:,} more"


def _short(name: str) -> str:
    return name if len(name) <= LONG else f"{name[: LONG // 2]}…{name[-LONG // 2 :]}"


def counted(number: int, one: str, several: str | None = None) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def composed(name: str) -> str:
    """Letters with their accents as one character (Unicode NFC); macOS writes names of files as two."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Equal for names that differ only in case or in how accents are written."""
    return composed(name).casefold()
