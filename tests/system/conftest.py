"""The service as people run it, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.http.exchange import Address
from tests.servers import running_service
from tests.serving.fakes import LIMIT


@pytest.fixture(scope="session")
def service() -> Iterator[Address]:
    with running_service("--max-upload-bytes", str(LIMIT)) as running:
        yield running.address()
