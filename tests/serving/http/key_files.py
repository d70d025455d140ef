"""A file of two keys."""

from pathlib import Path

ALICE, BOB = "alice-0123456789abcdef", "Zm9vYmFyYmF6cXV4+/~._-=="
FILE = f"# who may ask\n\nalice {ALICE}\nbob\t{BOB}  # until May\n"


def keys_file(folder: Path) -> Path:
    path = folder / "keys"
    path.write_text(FILE)
    path.chmod(0o600)
    return path
