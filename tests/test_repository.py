"""The repository checks itself: who imports whom, and whether the documentation says what the code does."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

SERVING = {"serving", "models", "numpy", "onnxruntime", "PIL", "fastapi", "starlette", "uvicorn", "orjson"}
SERVING |= {"cv2", "httptools", "pydantic", "pydantic_settings", "prometheus_client", "threadpoolctl"}
ALLOWED = {
    "models": {"models", "numpy", "PIL", "cv2"},
    "serving": SERVING,
    "training": {
        "training", "models", "numpy", "torch", "torchvision", "onnx", "onnxruntime", "scipy", "sklearn", "matplotlib",
        "PIL", "tqdm", "tyro",
    },
    "loadtest": {"loadtest", "locust", "matplotlib", "numpy", "PIL", "tyro"},
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_what_they_may(package: str) -> None:
    for path in sources(package):
        if "peers" in path.parts:  # other frameworks' servers, each run by a Python of its own
            continue
        outside = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)
        assert outside <= ALLOWED[package], path


def test_stages_do_not_import_each_other() -> None:
    """Rule 4: what two stages need lies outside both."""
    for path in sources("training/stages"):
        assert not any(name.startswith("training.stages") for name in imports(path)), path


def test_nothing_imports_the_experiments() -> None:
    """Rule 4: the laboratory can be deleted; a run's key does not depend on it."""
    from training.provenance import MAKES_WEIGHTS

    for path in sources("training"):
        if "experiments" not in path.parts:
            assert not any(name.startswith("training.experiments") for name in imports(path)), path
    assert not any("experiments" in pattern for pattern in MAKES_WEIGHTS)


def test_serving_loads_neither_torch_nor_onnx() -> None:
    code = "import sys, serving.__main__; sys.exit(bool({'torch', 'onnx', 'training'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def readme() -> str:
    return (ROOT / "README.md").read_text()


def test_readme_opens_with_the_two_commands() -> None:
    first = readme().split("```")[1]
    assert [line.split("#")[0].strip() for line in first.splitlines()[1:]] == ["make serve", "make test"]


def test_readme_names_every_setting_with_its_default() -> None:
    from serving.settings import PREFIX, Settings

    rows = dict(re.findall(r"^\| `(DIGITS_\w+)` \| `([^`]*)` \|", readme(), re.MULTILINE))
    assert rows == {f"{PREFIX}{name.upper()}": str(field.default) for name, field in Settings.model_fields.items()}


def test_readme_names_every_route() -> None:
    from serving.app import create_app
    from serving.settings import Settings

    documented = set(re.findall(r"^\| `(GET|POST) (/[\w/]*)", readme(), re.MULTILINE))
    paths = create_app(Settings()).openapi()["paths"]
    actual = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert documented == actual | {("GET", "/docs")}


def test_readme_names_every_target() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in re.findall(r"^  make (\S+)", listed, re.MULTILINE):
        assert f"make {target}" in readme() or target in ("help", "clean"), target


def test_readmes_figures_are_the_committed_bundles() -> None:
    from models.manifest import Manifest

    manifest = Manifest.load(ROOT / "models" / "digits")
    score = manifest.metrics["test_accuracy"]
    assert manifest.model in readme()
    assert f"{score.value:.2%}".replace("%", " %") in readme()
    assert f"{score.low:.2%} to {score.high:.2%}".replace("%", " %") in readme()


def test_local_links_lead_somewhere() -> None:
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text()):
            assert (ROOT / target).exists(), f"{document.name}: {target}"


def test_every_version_is_pinned_once_and_without_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line) for line in lines)
    names = [line.split("==")[0].lower() for line in lines]
    assert len(names) == len(set(names))
    assert "onnxruntime" not in names, "plain onnxruntime overwrites onnxruntime-gpu's files"


def test_no_file_is_long() -> None:
    for package in (*ALLOWED, "tests"):
        for path in sources(package):
            assert len(path.read_text().splitlines()) <= 260, path
