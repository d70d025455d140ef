"""The service as people run it, for all tests of this folder."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.http.exchange import Address
from tests.servers import running_service
from tests.serving.fakes import LIMIT
from tests.system.browser import chromium


@pytest.fixture(scope="session")
def service() -> Iterator[Address]:
    with running_service("--max-upload-bytes", str(LIMIT)) as running:
        yield running.address()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that serves the page, with an index of its own."""
    with running_service("--index", str(tmp_path_factory.mktemp("index") / "items.sqlite")) as service:
        yield service.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; not for the whole session, since no event loop of a test's own runs beside it."""
    with chromium() as running:
        yield running
