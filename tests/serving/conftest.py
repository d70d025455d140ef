"""A service on the fake model."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.errors import AnswerTimeout
from serving.index.memory import NeighborIndex
from serving.settings import Settings
from tests.serving.fakes import LIMIT, FakeModel, fake_index
from tests.serving.kept import kept_processes
from tests.serving.sockets import serving


@pytest.fixture(autouse=True, scope="session")
def _kept_processes() -> Iterator[None]:
    with kept_processes():
        yield


@pytest.fixture(autouse=True)
def _index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written into the repository."""
    monkeypatch.setenv("FEWLABEL_INDEX", str(tmp_path / "index" / "{name}.sqlite"))


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def index() -> NeighborIndex:
    return fake_index()


@pytest.fixture
def client(model: FakeModel, index: NeighborIndex) -> Iterator[TestClient]:
    settings = Settings(max_upload_bytes=LIMIT, request_timeout_s=0.5, max_batch_size=4, max_queue_size=4)
    with TestClient(
        create_app(settings, model, index), base_url="http://localhost", raise_server_exceptions=False
    ) as client:
        wait_for_decoder(client)
        yield client


def wait_for_decoder(client: TestClient) -> None:
    """Until a process decodes, which may take longer than this client's requests may."""
    assert client.portal is not None
    while True:
        with suppress(AnswerTimeout):
            client.portal.call(client.app_state["service"].decoder.decode_many, [b"no image"])
            return


@pytest.fixture
def port(model: FakeModel, index: NeighborIndex) -> Iterator[int]:
    """Of a real server on the fake model."""
    with serving(model, index=index) as port:
        yield port


@pytest.fixture(params=["application", "server"])
def door(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """The application, and the server in front of it."""
    if request.param == "application":
        yield request.getfixturevalue("client")
        return
    with httpx.Client(base_url=f"http://127.0.0.1:{request.getfixturevalue('port')}") as client:
        yield client
