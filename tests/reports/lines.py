"""How many lines of code there are: `python -m tests.reports.lines [folder [path ...]]`.

Counts serving, training and models of the checkout in `folder` (default: this one) without the given paths (default:
the laboratory). A line counts when it holds code: docstrings, also those of fields, comments and blank lines do not.
"""

import ast
import io
import sys
import tokenize
from pathlib import Path
from typing import TypeGuard

from tests.conftest import ROOT

PACKAGES = ("models", "serving", "training")
LABORATORY = "training/experiments"
NO_CODE = {
    tokenize.COMMENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER, tokenize.INDENT, tokenize.NEWLINE,
    tokenize.NL,
}  # fmt: skip


def is_docstring(node: ast.AST) -> TypeGuard[ast.Expr]:
    """Whether a statement is a string and nothing else: the docstring of a module, class, function or field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def code_lines(source: str) -> set[int]:
    """Numbers of the lines that hold code, from 1."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if is_docstring(node):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def count(folder: Path, without: list[Path]) -> int:
    """Lines of code of all Python files below `folder`, but for the files and folders in `without`."""
    files = (path for path in folder.rglob("*.py") if not any(path.is_relative_to(other) for other in without))
    return sum(len(code_lines(path.read_text(encoding="utf-8"))) for path in files)


def main() -> None:
    """Prints one line a package, and the sum."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    without = [root / path for path in sys.argv[2:] or [LABORATORY]]
    counts = {package: count(root / package, without) for package in PACKAGES}
    for package, lines in {**counts, "all": sum(counts.values())}.items():
        print(f"{package:<8} {lines:>6,}")


if __name__ == "__main__":
    main()
