"""The rules of the house (CONTRIBUTING.md): each holds in this repository, and a tree that breaks it is noticed.

A rule is a function of a folder that returns what breaks it, one line each.
"""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.reports.lines import code_lines

SERVING = {"serving", "models", "numpy", "onnxruntime", "PIL", "fastapi", "starlette", "uvicorn", "orjson"}
SERVING |= {"cv2", "httptools", "pydantic", "pydantic_settings", "prometheus_client", "threadpoolctl"}
IMPORTS = {
    "models": {"models", "numpy", "PIL", "cv2"},
    "serving": SERVING,
    "training": {
        "training", "models", "numpy", "torch", "torchvision", "onnx", "onnxruntime", "scipy", "sklearn", "matplotlib",
        "PIL", "tqdm", "tyro",
    },
    "loadtest": {"loadtest", "locust", "matplotlib", "numpy", "PIL", "tyro"},
}  # fmt: skip
"""Package → what it may import besides the standard library."""
PEERS = "loadtest/compare/peers/*"
"""Other frameworks' servers, each run by a Python of its own."""
LABORATORY = "training/experiments/*"
MAX_FILE_LINES = 260

Tree = Callable[[dict[str, str]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes files, path → content, into an empty folder and returns it."""

    def write(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return write


def sources(root: Path, *packages: str, without: tuple[str, ...] = ()) -> Iterator[tuple[str, Path]]:
    """Python files of some packages with their paths below `root`, but for those that match a pattern."""
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if not any(fnmatch(name, pattern) for pattern in without):
                yield name, path


def parsed(path: Path) -> Iterator[ast.AST]:
    """Every node of a file."""
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imports(path: Path) -> Iterator[str]:
    """What a file imports, dotted; a relative import begins with a dot, which rule 1 refuses."""
    for node in parsed(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ("." * node.level + f"{node.module or ''}.{alias.name}" for alias in node.names)


def importing(files: Iterator[tuple[str, Path]], *modules: str) -> list[str]:
    """Imports of these modules, or of what lies below them."""
    below = tuple(f"{module}." for module in modules)
    return [f"{name}: {one}" for name, path in files for one in imports(path) if f"{one}.".startswith(below)]


def foreign_imports(root: Path) -> list[str]:
    """Rule 1: `training → models ← serving`; `loadtest` speaks HTTP only; no package goes unlisted."""
    packages = {path.parent.name for path in root.glob("*/__init__.py")} - {"tests"}
    return [f"{package}: not listed" for package in sorted(packages - IMPORTS.keys())] + [
        f"{name}: {one}"
        for package, allowed in IMPORTS.items()
        for name, path in sources(root, package, without=(PEERS,))
        for one in imports(path)
        if one.split(".")[0] not in allowed | sys.stdlib_module_names
    ]


def test_rule_1_packages_import_only_what_they_may(tree: Tree) -> None:
    assert not foreign_imports(ROOT)
    files = {
        "loadtest/a.py": "import json, serving.model",
        "models/a.py": "from . import manifest",
        "serving/a.py": "def f():\n    from training.data import mnist",
        "deploy/__init__.py": "",
    }
    assert foreign_imports(tree(files)) == [
        "deploy: not listed",
        "models/a.py: ..manifest",
        "serving/a.py: training.data.mnist",
        "loadtest/a.py: serving.model",
    ]


def test_rule_1_serving_loads_neither_torch_nor_onnx() -> None:
    code = "import sys, serving.__main__; sys.exit(bool({'torch', 'onnx', 'training'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def linked_stages(root: Path) -> list[str]:
    """Rule 4: stages do not import each other; what two of them need lies outside both."""
    return importing(sources(root, "training/stages"), "training.stages")


def users_of_the_laboratory(root: Path) -> list[str]:
    """Rule 4: nothing imports the experiments; they can be deleted."""
    return importing(sources(root, *IMPORTS, without=(LABORATORY,)), "training.experiments")


def laboratory_in_a_key(root: Path, patterns: tuple[str, ...]) -> list[str]:
    """Rule 4: a run's key does not depend on the experiments; `patterns` are the files that it depends on."""
    names = (path.relative_to(root).as_posix() for one in patterns for path in (root / "training").glob(one))
    return [name for name in names if fnmatch(name, LABORATORY)]


def test_rule_4_stages_and_experiments_stand_alone(tree: Tree) -> None:
    from training.provenance import MAKES_WEIGHTS

    assert not linked_stages(ROOT)
    assert not users_of_the_laboratory(ROOT)
    assert not laboratory_in_a_key(ROOT, MAKES_WEIGHTS)
    root = tree(
        {
            "training/stages/a.py": "from training.stages.b import train\nfrom training import losses",
            "training/report.py": "from training import experiments",
            "training/experiments/b.py": "import training.experiments.c",
        }
    )
    assert linked_stages(root) == ["training/stages/a.py: training.stages.b.train"]
    assert users_of_the_laboratory(root) == ["training/report.py: training.experiments"]
    assert laboratory_in_a_key(root, ("*.py", "experiments/*.py")) == ["training/experiments/b.py"]


def long_files(root: Path) -> list[str]:
    """Files of more than `MAX_FILE_LINES` lines."""
    return [
        name for name, path in sources(root, *IMPORTS, "tests") if len(path.read_text().splitlines()) > MAX_FILE_LINES
    ]


def test_no_file_is_long(tree: Tree) -> None:
    assert not long_files(ROOT)
    assert long_files(tree({"tests/a.py": "pass\n" * (MAX_FILE_LINES + 1)})) == ["tests/a.py"]


def test_lines_of_code_leave_out_docstrings_comments_and_blanks() -> None:
    source = '"""Module."""\n\n# comment\nfield = (\n    1,  # a\n)\n"""Of the field,\nlong."""\ntext = """a\n\nb"""\n'
    assert code_lines(source) == {4, 5, 6, 9, 10, 11}
