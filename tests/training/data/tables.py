"""Small folders for the tests of collections."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from training.data.collection import Collection


def touched(root: Path, names: Iterable[str]) -> Path:
    """Makes files whose content nobody looks at."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
    return root


def labels(collection: Collection) -> Mapping[str, str | None]:
    """Name → label; a held out name begins with `!`."""
    return {f"{'!' * record.held_out}{record.name}": record.label for record in collection.records}
