import json
import logging

import pytest
from fastapi.testclient import TestClient

from serving.decoder import Decoder
from serving.logs import Human, Json
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
