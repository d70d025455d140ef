"""`python -m serving.index` as people run it, on the committed bundle."""

import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest

from models.manifest import Manifest
from models.pictures.png import as_png
from serving.index.__main__ import parsed
from serving.index.store import open_store
from tests.conftest import BUNDLE, ROOT, Digits
from tests.servers import clean_environment, running_service
from tests.serving.index.given import put


def program(*arguments: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "serving.index", *arguments],
        cwd=ROOT, env=clean_environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ran(*arguments: str, **variables: str) -> tuple[int, str, str]:
    """Exit code, and what was printed."""
    with program(*arguments, **variables) as process:
        output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        for number, (pixels, label) in enumerate(zip(arrays["images"], arrays["labels"], strict=True)):
            for copy in range(2):
                path = root / str(label) / f"{copy}-{number:04}.png"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(as_png(np.roll(pixels, copy, 1)))
    return root


def test_what_one_command_adds_the_others_write_out(address: str, photos: Path, tmp_path: Path, digits: Digits) -> None:
    options = ("--index", address)
    count = 2 * len(digits[0])
    assert ran("add", str(photos), *options) == (0, f"{count:,} added\n", "")
    assert ran("add", str(photos), *options) == (0, f"{count:,} there already\n", "")
    assert ran("rebuild", FEWLABEL_INDEX=address) == (0, "nothing to do\n", "")
    out = tmp_path / "out"
    assert ran("export", str(out), *options)[:2] == (0, f"{count:,} images, {count:,} of them labelled, in {out}\n")
    assert {path.name for path in out.iterdir()} == {*"0123456789", "labels.csv"}
    code, output, errors = ran("backup", str(tmp_path / "copy"), *options)
    if address.startswith("postgres"):
        assert (code, output) == (1, "")
        assert "pg_dump -t 'fewlabel_*'" in errors
    else:
        assert (code, output) == (0, f"{count:,} items in {tmp_path / 'copy'}\n")
        assert open_store(str(tmp_path / "copy")).totals().items == count


def test_bad_files_make_the_exit_code_1(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "text.png").write_text("no picture")
    (folder / "7.png").write_bytes((ROOT / "examples" / "7.png").read_bytes())
    code, output, errors = ran("add", str(folder), "--index", address)
    assert (code, output) == (1, "1 added, 1 bad\n")
    assert errors.startswith("text.png: send one of PNG, JPEG")


def test_killed_in_the_middle_it_goes_on_when_started_again(address: str, photos: Path, digits: Digits) -> None:
    store = open_store(address)
    with program("add", str(photos), "--index", address) as process:
        deadline = time.monotonic() + 60
        while not store.totals().items:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    done = store.totals().items
    code, output, errors = ran("add", str(photos), "--index", address)
    assert (code, errors) == (0, "")
    count = 2 * len(digits[0])
    assert output == f"{count - done:,} added, {done:,} there already\n"
    assert store.totals().items == count
    store.close()


def test_a_running_service_finds_what_a_command_adds(address: str, tmp_path: Path) -> None:
    with running_service("--index", address) as service, httpx.Client(base_url=service.url) as client:
        image = (ROOT / "examples" / "7.png").read_bytes()
        folder = tmp_path / "photos"
        folder.mkdir()
        (folder / "seven.png").write_bytes(image)
        assert ran("add", str(folder), "--index", address)[0] == 0
        added = time.monotonic()
        while (best := client.post("/search?k=1", content=image).json()["neighbors"][0])["id"] != "seven.png":
            assert time.monotonic() - added < 1
            time.sleep(0.01)
        assert (best["source"], best["label"]) == ("user", None)


def test_after_a_new_bundle_searches_tell_what_is_missing_until_it_is_embedded(address: str, photos: Path) -> None:
    store = open_store(address)
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        images = [as_png(pixels) for pixels in arrays["images"][:40]]
    vector = np.eye(3, dtype=np.float32)[0]
    store.write([put(f"{n}", image=image, model="older@1", vector=vector) for n, image in enumerate(images)])
    with running_service("--index", address) as service, httpx.Client(base_url=service.url) as client:

        def missing() -> int:
            answer = client.post("/search?k=1", content=images[0]).json()
            return int(answer.get("missing", 0))

        assert missing() == 40
        assert ran("rebuild", "--index", address) == (0, "40 embedded\n", "")
        done = time.monotonic()
        while missing():
            assert time.monotonic() - done < 1
            time.sleep(0.01)
    assert {item.model for item in store.page(100)} == {Manifest.load(BUNDLE).model}
    store.close()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["add", "{tmp}/nowhere"], "nowhere: cannot be read"),
        (["export", "{root}"], "is not empty"),
        (["backup", "{tmp}/copy"], "cannot be opened"),
        (["add", "{root}/examples", "--model-dir", "{tmp}"], "manifest.json: cannot be read"),
        (["rebuild", "--max-batch-size", "0"], "FEWLABEL_MAX_BATCH_SIZE: Input should be greater"),
        (["rebuild", "--index", "{root}/README.md"], "is damaged, or is no index"),
        ([], "COMMAND"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(arguments: list[str], match: str, tmp_path: Path) -> None:
    places = {"{tmp}": str(tmp_path), "{root}": str(ROOT)}
    for name, place in places.items():
        arguments = [one.replace(name, place) for one in arguments]
    code, output, errors = ran(*arguments, FEWLABEL_INDEX=str(tmp_path / "index.sqlite"))
    assert (code != 0, output, match in errors, "Traceback" in errors) == (True, "", True, False), errors
    assert list(tmp_path.iterdir()) == []


def test_settings_are_those_of_the_service(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FEWLABEL_INDEX", "other.sqlite")
    chosen, settings = parsed(["add", "photos", "--max-batch-size", "16", "--labels", "none"])
    assert (settings.index, settings.max_batch_size, chosen.labels) == ("other.sqlite", 16, "none")
    monkeypatch.setenv("FEWLABEL_INDICES", "x")
    with pytest.raises(SystemExit):
        parsed(["rebuild"])
    assert capsys.readouterr().err == "FEWLABEL_INDICES: there is no such setting\n"


def test_documented_commands_are_understood() -> None:
    documents = ("README.md", "serving/README.md", "serving/index/README.md", "CHANGELOG.md")
    texts = [(ROOT / name).read_text() for name in documents]
    commands = [one for text in texts for one in re.findall(r"python -m serving\.index ([a-z][^`#\n)]*)", text)]
    assert {command.split()[0] for command in commands} == {"add", "export", "backup", "rebuild"}
    for command in commands:
        parsed(shlex.split(command))


def test_help_tells_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("add", "export", "backup", "rebuild"):
        with pytest.raises(SystemExit, match="0"):
            parsed([command, "--help"])
        assert "--index VALUE" in capsys.readouterr().out
