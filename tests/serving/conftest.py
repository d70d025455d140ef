"""A service on the fake model."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.settings import Settings
from tests.serving.fakes import LIMIT, FakeModel, fake_index
from tests.serving.kept import kept_processes
from tests.serving.sockets import serving


@pytest.fixture(autouse=True, scope="session")
def _kept_processes() -> Iterator[None]:
    with kept_processes():
        yield


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def client(model: FakeModel) -> Iterator[TestClient]:
    settings = Settings(max_upload_bytes=LIMIT, request_timeout_s=0.5, max_batch_size=4, max_queue_size=4)
    with TestClient(
        create_app(settings, model, fake_index()), base_url="http://localhost", raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture
def port(model: FakeModel) -> Iterator[int]:
    """Of a real server on the fake model."""
    with serving(model) as port:
        yield port
