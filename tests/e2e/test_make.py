"""What `make` takes of NAME and DATA."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

ONE_FOLDER = "error: NAME is the name of one folder in models/"


def make(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs make as from a shell that is in none."""
    inherited = ("MAKE", "MFLAGS", "NAME", "DATA", "ARGS", "HOST")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(inherited)}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment | variables, capture_output=True, text=True)


@pytest.mark.parametrize("target", ["serve", "loadtest"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pictures", "error: models/pictures holds no manifest.json; these are bundles: digits"),
        ("*", "error: models/* holds no manifest.json"),
        ("$$(touch no)", ONE_FOLDER),
        ("`touch${IFS}no`", "holds no manifest.json"),
        ("", ONE_FOLDER),
        ("my photos", ONE_FOLDER),
        ("a\tb", ONE_FOLDER),
        ("..", ONE_FOLDER),
        (".", ONE_FOLDER),
        ("digits/", ONE_FOLDER),
        ("/etc", ONE_FOLDER),
        ("../models/digits", ONE_FOLDER),
    ],
)
def test_a_name_that_is_no_bundles_is_refused_before_anything_is_installed(
    tmp_path: Path, target: str, name: str, words: str
) -> None:
    ended = make(target, f"NAME={name}", f"VENVS={tmp_path}")
    assert ended.returncode == 2
    first, *rest = ended.stderr.splitlines()
    assert words in first
    assert [line for line in rest if "Error 1" in line] == rest
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []
    assert not (ROOT / "no").exists()


def test_name_and_data_are_handed_over() -> None:
    assert make("bundle", "NAME=digits").returncode == 0
    assert '-m serving --model-dir "models/$NAME"' in make("-n", "serve", "NAME=digits").stdout
    shown = make("-n", "loadtest", "NAME=digits", "DATA=my photos").stdout
    assert '--model-dir "models/$NAME" --data "$DATA"' in shown
    shown = make("-n", "trials", "NAME=photos", "DATA=my photos").stdout
    assert '-m training.experiments.pictures --data "$DATA" --name "$NAME"' in shown
    assert 'LOADTEST_IMAGES="$DATA" ' in make("-n", "loadtest-ui", "DATA=my photos").stdout


@pytest.mark.parametrize("options", [(), ("-e",)])
@pytest.mark.parametrize(
    ("target", "runs"), [("serve", "-m serving"), ("loadtest", "-m loadtest"), ("loadtest-ui", "bin/locust")]
)
def test_the_environments_own_variables_are_not_taken(target: str, runs: str, options: tuple[str, ...]) -> None:
    shown = make("-n", *options, target, NAME="pictures", DATA="/etc").stdout
    assert runs in shown
    for word in ("NAME", "DATA", "--model-dir", "IMAGES"):
        assert word not in shown
