"""The program: what it says, what it returns, and what it leaves alone."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.pictures import messy
from tests.training.check.test_checks import pictures, planted
from training.check import __main__ as program
from training.check.report import Report
from training.check.settings import CheckSettings
from training.data.errors import DataError


def ran(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["check", *options])
    code = program.main()
    captured = capsys.readouterr()
    assert captured.out == ""
    return code, captured.err


def test_the_program_ends_with_0_and_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = messy.make(tmp_path / "photos", classes=3, each=8)
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "photos").rglob("*"))
    options = ["--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    code, said = ran(capsys, monkeypatch, "--data", str(tmp_path / "photos"), *options)
    assert code == 0
    assert before == sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "photos").rglob("*"))
    assert re.search(r"photos: \d+ of \d+ files can be used; 4 classes, \d+ labels, 0 unlabelled, 0 held out", said)
    assert f"warning: Files that cannot be read. {1 + len(messy.BAD)} files cannot be read; first " in said
    assert f"to see it: {tmp_path / 'out' / 'index.html'}" in said
    findings = json.loads((tmp_path / "out" / "report.json").read_text())["findings"]
    unread = next(one["groups"] for one in findings if one["title"] == "Files that cannot be read")
    bad = {name for kind in [*messy.BAD, "broken"] for name in made[kind]}
    assert {shown["name"] for (shown,) in unread} == bad
    assert all(shown["note"] for (shown,) in unread)


def test_the_program_ends_with_1_where_nothing_can_be_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    assert ran(capsys, monkeypatch, "--data", str(tmp_path / "none"), *options)[0] == 1
    files = pictures("cat", 3) | {"dog/1.jpg": b"text"}
    root = planted(tmp_path / "photos", files)
    code, said = ran(capsys, monkeypatch, "--data", str(root), *options)
    assert code == 1
    assert "error: Nothing to tell apart. Of 2 classes only “cat” has a label on a picture that can be read." in said
    assert "No training is possible yet." in (tmp_path / "out" / "index.html").read_text()
    shutil.rmtree(tmp_path / "out")
    files = {"cat/1.jpg": b"text", "dog/1.jpg": b"text"}
    code, said = ran(capsys, monkeypatch, "--data", str(planted(tmp_path / "text", files)), *options)
    assert code == 1
    assert "Of 2 classes none has a label" in said
    code, said = ran(capsys, monkeypatch, "--data", str(root), "--output", str(root / "out"))
    assert code == 1
    assert "lies in the folder of pictures, where nothing is written" in said
    assert not (root / "out").exists()


def test_data_must_be_given(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        ran(capsys, monkeypatch)
    assert "--data" in capsys.readouterr().err


def test_settings_name_no_folder_of_their_own() -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        program.run(CheckSettings(Path("missing"), Path("out")))


def test_pictures_without_labels_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = planted(tmp_path / "photos", pictures("unlabelled", 9) | {"cut.jpg": b"nothing"})
    options = ["--data", str(root), "--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    code, said = ran(capsys, monkeypatch, *options)
    assert code == 1
    assert "error: Nothing to tell apart. No picture has a label." in said
    assert "warning: Files that cannot be read. 1 file cannot be read; first cut.jpg" in said
    assert (tmp_path / "out" / "index.html").exists()


def test_a_ctrl_c_is_no_fault(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopping(_: CheckSettings) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", ["check", "--data", "photos"])
    monkeypatch.setattr(program, "run", stopping)
    assert program.main() == program.INTERRUPTED
    assert capsys.readouterr().err == "stopped; what was looked at is remembered\n"
