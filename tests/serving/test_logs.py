import errno
import io
import json
import logging

import pytest
from fastapi.testclient import TestClient

from serving.decoder import Decoder
from serving.logs import Bounded, Human, Json, ToStderr, log_failure, one_line
from tests.conftest import Digits
from tests.pictures.uploads import encoded


def test_a_bug_is_logged_with_its_requests_id(
    client: TestClient, digits: Digits, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError("over")

    monkeypatch.setattr(Decoder, "decode_here", bug)
    client.post("/predict", content=encoded(digits[0][0]), headers={"X-Request-ID": "mine-7"})
    (record,) = [one for one in caplog.records if one.name == "serving"]
    human = Human().format(record)
    assert human.splitlines()[0] == "ERROR:    unexpected error (request mine-7)"
    assert human.splitlines()[-1] == "ZeroDivisionError: over"
    fields = json.loads(Json().format(record))
    assert (fields["level"], fields["message"], fields["request_id"]) == ("ERROR", "unexpected error", "mine-7")
    assert fields["traceback"].endswith("ZeroDivisionError: over")
    assert "\n" not in Json().format(record)


def test_a_plain_line_has_neither_id_nor_traceback() -> None:
    record = logging.LogRecord("serving", logging.INFO, __file__, 1, "serving %s", ("x",), None)
    assert Human().format(record) == "INFO:     serving x"
    assert set(json.loads(Json().format(record))) == {"time", "level", "logger", "message"}


def test_a_failed_request_is_one_bounded_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_failure(413, "3 bytes\r\nERROR:    forged \x1b[31m\u2028", "mine")
    log_failure(503, "x" * 10_000, "")
    first, second = (Human().format(record) for record in caplog.records)
    assert first == "INFO:     413 3 bytes\\r\\nERROR:    forged \\x1b[31m\\u2028 (request mine)"
    assert second == f"WARNING:  503 {'x' * 199}…"
    assert "\ud800" not in one_line("\ud800" * 300)
    assert len(one_line("\0" * 300)) == 200


def test_a_flood_is_cut_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    bounded = Bounded(per_s=3, clock=lambda: now)
    for second in (0.0, 0.5, 1.0, 5.0):
        now = second
        for _ in range(10):
            bounded.log(logging.INFO, "line")
    left_out = "more lines like these were not logged"
    expected = ["line"] * 3 + [f"17 {left_out}"] + ["line"] * 3 + [f"7 {left_out}"] + ["line"] * 3
    assert [record.getMessage() for record in caplog.records] == expected


def test_a_log_that_cannot_be_written_comes_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Disk(io.StringIO):
        full = False

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(text)

    disk = Disk()
    monkeypatch.setattr("sys.stderr", disk)
    handler = ToStderr()
    handler.setFormatter(Human())
    for number in range(1, 7):
        disk.full = number in (2, 3, 4)
        handler.handle(logging.LogRecord("serving", logging.INFO, __file__, 1, "line %d", (number,), None))
    lines = [
        "INFO:     line 1",
        "WARNING:  writing the log had failed for 3 lines",
        "INFO:     line 5",
        "INFO:     line 6",
    ]
    assert disk.getvalue().splitlines() == lines
