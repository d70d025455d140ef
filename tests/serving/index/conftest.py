"""Both stores, empty."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from serving.index.group import Bounds
from serving.index.store import Store, open_store
from tests.serving.index.postgres import PostgresServer, postgres

Open = Callable[..., Store]


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a store in which nothing was written."""
    if request.param == "sqlite":
        return str(tmp_path / "new folder" / "index.sqlite")
    server: PostgresServer = request.getfixturevalue("server")
    return server.new_schema()


@pytest.fixture
def opened(address: str) -> Iterator[Open]:
    """Opens one more store at the same address, as another process would."""
    with ExitStack() as stack:
        yield lambda **bounds: stack.enter_context(closing(open_store(address, Bounds(**bounds))))


@pytest.fixture
def store(opened: Open) -> Store:
    return opened()
