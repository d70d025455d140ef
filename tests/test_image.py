"""What the Dockerfile puts into the image, told without Docker from its COPY lines and from .dockerignore."""

import re
from pathlib import Path

from models.manifest import MANIFEST, Manifest
from serving.settings import Settings
from tests.conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


def ignored(name: str, patterns: list[str]) -> bool:
    """Whether .dockerignore leaves out a path: the last pattern that matches it or a folder above it decides."""
    left_out = False
    for pattern in patterns:
        expression = re.escape(pattern.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{expression}(/.*)?", name):
            left_out = not pattern.startswith("!")
    return left_out


def copied(stage: str) -> set[str]:
    """Files of the repository, as paths below its root, that the COPY lines of these lines of a Dockerfile take."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    found: set[str] = set()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", stage, re.MULTILINE):
        for source in map(ROOT.joinpath, sources.split()):
            files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
            names = {path.relative_to(ROOT).as_posix() for path in files}
            found |= {name for name in names if not ignored(name, patterns)}
    return found


def below(folder: Path, pattern: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in folder.rglob(pattern)}


def test_the_image_holds_the_service_and_the_bundles_and_nothing_else() -> None:
    code = below(ROOT / "serving", "*.py") | below(ROOT / "models", "*.py")
    typed = below(ROOT / "serving", "py.typed") | below(ROOT / "models", "py.typed")
    web = {name for name in below(ROOT / "serving" / "http" / "web", "*") if (ROOT / name).is_file()}
    bundles = {
        path.relative_to(ROOT).as_posix()
        for manifest in (ROOT / "models").glob(f"*/{MANIFEST}")
        for path in [manifest, *(manifest.with_name(name) for name in Manifest.load(manifest.parent).files)]
    }
    assert bundles
    assert copied(LAST_STAGE) == code | typed | web | bundles


def test_the_build_finds_each_file_that_it_copies() -> None:
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert copied(f"COPY {source} .\n"), source


def test_the_last_matching_pattern_of_dockerignore_decides() -> None:
    patterns = ["*", "!models", "models/*/*", "!models/*/*.py", "**/__pycache__"]
    names = {"models/a.py": False, "models/a/b.py": False, "models/a/b.md": True, "models/a/report/b.png": True}
    names |= {"training/a.py": True, "models/__pycache__/a.pyc": True, "models/a/__pycache__/b.py": True}
    assert {name: ignored(name, patterns) for name in names} == names


def test_the_image_sets_variables_that_exist() -> None:
    names = set(re.findall(r"FEWLABEL_(\w+)", DOCKERFILE))
    assert {"HOST", "PORT"} <= names <= {name.upper() for name in Settings.model_fields}
