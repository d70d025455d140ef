"""The repository checks itself: whether the documentation and the files around the code say what the code does."""

import re
import subprocess
import tomllib
from typing import Any, cast

from tests.conftest import ROOT


def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    return cast(dict[str, Any], tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def readme() -> str:
    return (ROOT / "README.md").read_text()


def test_readme_opens_with_the_two_commands() -> None:
    first = readme().split("```")[1]
    assert [line.split("#")[0].strip() for line in first.splitlines()[1:]] == ["make serve", "make test"]


def test_readme_names_every_setting_with_its_default() -> None:
    from serving.settings import PREFIX, Settings

    rows = dict(re.findall(r"^\| `(FEWLABEL_\w+)` \| `([^`]*)` \|", readme(), re.MULTILINE))
    assert rows == {f"{PREFIX}{name.upper()}": str(field.default) for name, field in Settings.model_fields.items()}


def test_readme_names_every_route() -> None:
    from serving.app import create_app
    from serving.settings import Settings

    documented = set(re.findall(r"^\| `(GET|POST|PUT|PATCH|DELETE) (/[\w/.{}]*)", readme(), re.MULTILINE))
    paths = create_app(Settings()).openapi()["paths"]
    actual = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert documented == actual | {("GET", "/"), ("GET", "/docs")}


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


def test_both_checks_run_the_same_targets() -> None:
    for check in (".ci/run", ".github/workflows/check.yml"):
        targets = re.findall(r"^(?:      - run: )?make (.*)$", (ROOT / check).read_text(), re.MULTILINE)
        assert targets == ["test", "test-system"], check


def test_the_workflow_pins_its_actions_and_may_only_read() -> None:
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text()
    actions = re.findall(r"uses: (\S+)", workflow)
    assert actions
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)
    assert "permissions:\n  contents: read\n\n" in workflow
    assert re.findall(r'"(3\.\d+)"', workflow)[0] == project()["requires-python"].removeprefix(">=")


def test_hooks_run_what_the_development_environment_has() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"repo: (\S+)", hooks)) == {"local"}
    assert set(re.findall(r"language: (\S+)", hooks)) == {"system"}
    makefile = (ROOT / "Makefile").read_text()
    for program, options in re.findall(r"entry: \.venv/dev/bin/(\S+)(.*)", hooks):
        assert f"$(VENVS)/dev/bin/{program}{options}" in makefile, program


def test_the_changelog_tells_of_this_version_below_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", project()["version"]]
