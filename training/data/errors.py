"""What can be wrong with data."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAKE_ROOM = "make room or get the right to write there, or give another folder (--cache)"


class DataError(RuntimeError):
    """The data cannot be found, or a file is not what it should be; the text says which and what to do."""


@contextmanager
def writing_cache(folder: Path) -> Iterator[None]:
    """Turns what a disk that is full or may not be written raises into a DataError that names the folder."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{folder}: the cache cannot be written ({error.strerror}): {MAKE_ROOM}") from error
