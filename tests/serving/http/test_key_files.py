"""The file that API keys come from."""

import logging
import os
from pathlib import Path

import pytest

from serving.errors import Unauthorized
from serving.http.keys import SETTLED_S, Keys, KeysError
from tests.serving.http.key_files import ALICE, BOB, FILE, keys_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return keys_file(tmp_path)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def name_of(keys: Keys, key: str) -> str | None:
    try:
        return keys.check([key.encode()])
    except Unauthorized:
        return None


def test_the_file_is_read_again_when_it_changes(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    keys = Keys(file, clock)
    assert (name_of(keys, ALICE), name_of(keys, BOB)) == ("alice", "bob")
    caplog.set_level(logging.INFO)
    file.write_text(f"carol {BOB}\n")
    clock.now = 0.9
    assert name_of(keys, ALICE) == "alice"
    clock.now = 1.0
    assert (name_of(keys, ALICE), name_of(keys, BOB)) == (None, "carol")
    assert [record.getMessage() for record in caplog.records] == [f"API keys in {file}: carol; no longer: alice, bob"]
    replaced = file.with_name("new")  # as a secret in Kubernetes is
    replaced.write_text(f"alice {ALICE}\n")
    replaced.replace(file)
    clock.now = 2.0
    assert (name_of(keys, ALICE), name_of(keys, BOB)) == ("alice", None)


def test_a_change_that_leaves_time_and_size_as_they_were_is_noticed(file: Path) -> None:
    """Both are written within one tick of the file system's clock."""
    clock, time = Clock(), file.stat()
    keys = Keys(file, clock)
    file.write_text(FILE.replace(ALICE, ALICE[::-1]))
    os.utime(file, ns=(time.st_atime_ns, time.st_mtime_ns))
    clock.now = 1.0
    assert (name_of(keys, ALICE), name_of(keys, ALICE[::-1])) == (None, "alice")


def test_a_file_that_lies_still_is_not_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, old = Clock(), file.stat().st_mtime - 2 * SETTLED_S
    os.utime(file, (old, old))
    keys, reads = Keys(file, clock), 0
    opened = Path.open

    def counted(self: Path, *arguments: object, **options: object) -> object:
        nonlocal reads
        reads += self == file
        return opened(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", counted)
    for second in range(10):
        clock.now = second
        assert name_of(keys, ALICE) == "alice"
    assert reads == 0


BAD = {
    "cut in a key": FILE[:-25],
    "cut behind a key": FILE.rstrip("\n"),
    "empty": "",
    "comments alone": "# alice\n\n",
    "no name": f"{ALICE}\n",
    "no key": "alice\n",
    "three words": f"alice {ALICE} {BOB}\n",
    "short": "alice 0123456789abcde\n",
    "long": f"alice {'x' * 257}\n",
    "letters that no header has": "alice schlüssel-0123456789\n",
    "a name twice": f"alice {ALICE}\nalice {BOB}\n",
    "a key twice": f"alice {ALICE}\nbob {ALICE}\n",
    "binary": "\0\x01\x02\n",
    "huge": f"alice {ALICE}\n" + "# \n" * 400_000,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_file_is_an_error_at_the_start_and_changes_nothing_later(
    file: Path, bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    keys = Keys(file, clock)
    file.write_text(bad)
    with pytest.raises(KeysError, match="keys") as raised:
        Keys(file)
    caplog.clear()
    for second in range(1, 4):
        clock.now = second
        assert (name_of(keys, ALICE), name_of(keys, BOB)) == ("alice", "bob")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"{raised.value}; the keys that were read before stay valid"
    assert not any(word in line for word in (ALICE, BOB, "0123456789"))
    file.write_text(f"\ufeffcarol {ALICE}\r\n")
    clock.now = 5
    assert name_of(keys, ALICE) == "carol"


def test_a_missing_file_is_told_once_and_each_time_it_is_missing(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, away = Clock(), file.with_name("away")
    keys = Keys(file, clock)
    caplog.clear()
    for second in (1, 2, 3, 4, 5, 6):
        if second in (1, 5):
            file.rename(away)
        elif second == 4:
            away.rename(file)
        clock.now = second
        assert name_of(keys, ALICE) == "alice"
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 2
    file.mkdir()
    for path in (file, away.with_name("never")):
        with pytest.raises(KeysError, match="no such file of keys"):
            Keys(path)


def test_a_file_that_everybody_can_read_is_a_warning(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    Keys(file)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    file.chmod(0o644)
    Keys(file)
    assert "chmod o-r" in caplog.records[-1].getMessage()


def test_many_keys(file: Path) -> None:
    names = [f"client-{number}" for number in range(10_000)]
    file.write_text("".join(f"{name} key-of-{name}-{'x' * 20}\n" for name in names))
    keys = Keys(file)
    for name in names[::500]:
        assert name_of(keys, f"key-of-{name}-{'x' * 20}") == name
        assert name_of(keys, f"key-of-{name}-{'x' * 19}") is None
