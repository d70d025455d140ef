"""The image, told without Docker: what the Dockerfile copies and installs, and the command in README that runs it."""

import re
import tomllib
from pathlib import Path

import pytest

from models.manifest import MANIFEST, Manifest
from serving.http.server import LIMITS_PER_REQUEST, STOP_GRACE_S
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


def hashed(extra: str) -> dict[str, str]:
    """Name → version of each package that the image installs for an extra; each must have a hash."""
    lines = (ROOT / "requirements" / f"{extra}.txt").read_text().replace("\\\n", " ").splitlines()
    found = [re.fullmatch(r"([a-z0-9-]+)==(\S+) +(;.*?)?( +--hash=sha256:[0-9a-f]{64})+", line) for line in lines[2:]]
    assert all(found), lines
    return {match[1]: match[2] for match in found if match}


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


@pytest.mark.parametrize("extra", ["serve", "serve-cuda"])
def test_the_image_installs_the_pinned_versions(extra: str) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}
    installed = hashed(extra)
    added = {"onnxruntime", "colorama", "setuptools"}  # for other machines than the one that pins; to build the package
    assert installed.keys() - pinned.keys() == added
    assert {name: pinned[name] for name in installed.keys() - added} == {
        name: version for name, version in installed.items() if name not in added
    }


@pytest.mark.parametrize("extra", ["serve", "serve-cuda"])
def test_the_image_installs_all_that_the_extra_names(extra: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {re.split(r"[^\w-]", line)[0] for line in extras["serve"] + extras[extra] + extras["postgres"]}
    assert {*(named - {"fewlabel"}), "psycopg-binary"} <= hashed(extra).keys()
    assert ("nvidia-cudnn-cu13" in hashed(extra)) == (extra == "serve-cuda")


def test_the_build_downloads_nothing_but_packages_whose_hashes_it_checks() -> None:
    runs = [line for line in DOCKERFILE.replace("\\\n", "").splitlines() if line.startswith("RUN ")]
    create, download, build, user = runs
    assert create == "RUN python -m venv /opt/venv"
    assert "pip install" in download
    assert "--require-hashes --only-binary :all:" in download
    assert download.endswith('-r "requirements/${EXTRA}.txt"')
    assert "pip install" in build
    assert "--no-deps --no-build-isolation -e ." in build
    assert user.startswith("RUN useradd ")
    assert not re.search(r"^(ADD|# syntax)", DOCKERFILE, re.MULTILINE)


def test_readmes_command_takes_all_rights_from_the_container() -> None:
    command = re.search(r"^docker run (.+?) fewlabel$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert command
    options = " ".join(command[1].replace("\\\n", " ").split())
    for option in ("--read-only", "--tmpfs /tmp:size=", "--cap-drop ALL", "--security-opt no-new-privileges"):
        assert option in options
    assert re.search(r"--memory \d+g --pids-limit \d+", options)
    seconds = re.search(r"--stop-timeout (\d+)", options)
    assert seconds
    assert int(seconds[1]) > LIMITS_PER_REQUEST * Settings().request_timeout_s + STOP_GRACE_S
    assert re.search(r"^USER [1-9]\d*$", LAST_STAGE, re.MULTILINE)


def test_the_image_sets_variables_that_exist() -> None:
    names = set(re.findall(r"FEWLABEL_(\w+)", DOCKERFILE))
    assert {"HOST", "PORT", "INDEX"} <= names <= {name.upper() for name in Settings.model_fields}


def test_items_lie_on_a_volume_that_the_user_may_write_to() -> None:
    user = re.search(r"^USER (\d+)$", LAST_STAGE, re.MULTILINE)
    assert user
    made = re.search(
        rf"install --directory --owner {user[1]} --group {user[1]} --mode 700 (/\S+)$", LAST_STAGE, re.MULTILINE
    )
    assert made
    assert LAST_STAGE.index(made[0]) < LAST_STAGE.index(f"\nVOLUME {made[1]}\n"), "a volume keeps what was there before"
    assert re.search(rf"FEWLABEL_INDEX={made[1]}/\w+\.sqlite$", LAST_STAGE, re.MULTILINE)
    assert f"-v fewlabel:{made[1]} " in (ROOT / "README.md").read_text()
