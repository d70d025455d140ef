"""What the probes say, and when."""

import threading

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.fakes import FakeModel
from tests.serving.problems import assert_problem


@pytest.mark.parametrize("route", ["/health/live", "/health/ready"])
def test_head_is_answered_too(port: int, route: str) -> None:
    asked, whole = (httpx.request(method, f"http://127.0.0.1:{port}{route}") for method in ("HEAD", "GET"))
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-length"] == whole.headers["content-length"]


def test_both_fail_while_the_model_hangs_and_no_longer(client: TestClient, model: FakeModel, digits: Digits) -> None:
    model.released.clear()
    assert client.post("/predict", content=encoded(digits[0][0])).status_code == 504
    assert_problem(client.get("/health/live"), 503, "hangs")
    assert_problem(client.get("/health/ready"), 503, "hangs")
    assert_problem(client.post("/predict", content=encoded(digits[0][0])), 503, "hangs")
    model.released.set()
    while client.get("/health/live").status_code == 503:
        pass
    assert client.get("/health/ready").status_code == 200


def test_both_fail_while_the_search_hangs(client: TestClient, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(client.app_state["service"].searcher, "_run", lambda _: released.wait(30))
    assert client.post("/search", content=encoded(digits[0][0])).status_code == 504
    assert_problem(client.get("/health/live"), 503, "hangs")
    assert_problem(client.get("/health/ready"), 503, "hangs")
    released.set()


def test_ready_fails_while_nothing_can_be_decoded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(client.app_state["service"].decoder), "healthy", False)
    assert_problem(client.get("/health/ready"), 503, "decoder")
    assert client.get("/health/live").status_code == 200
