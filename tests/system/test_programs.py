"""What cannot be run is left out, and counted."""

import pytest

from tests.system import programs
from tests.system.running import needed


def test_what_is_not_there_is_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(programs, "find", lambda program: "/bin/it" if program == "nginx" else None)
    programs.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "chromium: LEFT OUT",
        "haproxy: LEFT OUT",
        "nginx: /bin/it",
        "prometheus: LEFT OUT",
        "promtool: LEFT OUT",
        "system tests: 1 of 5 programs, 4 left out (there is no apt-get here)",
    ]


def test_its_tests_are_skipped() -> None:
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        needed("no-such-program")
