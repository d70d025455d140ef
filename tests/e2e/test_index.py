"""An index that several processes share, over real sockets: who writes, who finds it, and what the end leaves."""

import io
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image

from models.manifest import INDEX
from serving.index.store import open_store
from tests.conftest import BUNDLE, ROOT
from tests.servers import Service, running_service
from tests.serving.index.postgres import PostgresServer, postgres

PICTURE = (ROOT / "examples" / "7.png").read_bytes()
SEEN_S = 1.0
"""Within which every process sees a write."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "index" / "{name}.sqlite")
    server: PostgresServer = request.getfixturevalue("server")
    return server.new_schema()


@contextmanager
def client_of(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=20) as client:
        yield client


@contextmanager
def two_services(address: str) -> Iterator[list[httpx.Client]]:
    with ExitStack() as stack:
        services = [stack.enter_context(running_service("--index", address)) for _ in range(2)]
        yield [stack.enter_context(client_of(service)) for service in services]


def found(client: httpx.Client, query: str = "") -> list[tuple[str, str | None]]:
    """Users' images that look like PICTURE, with their labels."""
    answer = client.post(f"/search?source=user{query}", content=PICTURE).json()
    return [(one["id"], one["label"]) for one in answer["neighbors"]]


def finds(client: httpx.Client, wanted: tuple[str, str | None]) -> bool:
    return wanted in found(client)


def seconds_until(holds: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < 10 * SEEN_S
        time.sleep(0.01)
    return time.monotonic() - began


def test_what_one_service_writes_the_other_finds_within_a_second(address: str) -> None:
    with two_services(address) as (one, other):
        for number in range(3):  # the first write makes the store
            assert one.put(f"/index/items/{number}?label=new", content=PICTURE).status_code == 201
            assert (f"{number}", "new") in found(one), "who has written finds it at once"
            assert seconds_until(partial(finds, other, (f"{number}", "new"))) < SEEN_S
        assert other.get("/index/images/0").content == PICTURE
        assert other.patch("/index/items/0", json={"label": "mine"}).status_code == 200
        assert seconds_until(lambda: found(one, "&label=mine") == [("0", "mine")]) < SEEN_S
        assert one.patch("/index/items/train-0", json={"label": "mine"}).status_code == 200
        mine = {"query": "/index/items?label=mine"}
        assert seconds_until(lambda: len(other.get(mine["query"]).json()["items"]) == 2) < SEEN_S
        assert other.delete("/index/items/0").status_code == 204
        assert seconds_until(lambda: "0" not in dict(found(one))) < SEEN_S
        assert one.get("/index/items/0").status_code == 404
        assert one.get("/index").json()["items"] == other.get("/index").json()["items"] == 3


def test_every_worker_finds_a_write_within_a_second(tmp_path: Path) -> None:
    with running_service("--workers", "2", "--index", str(tmp_path / "x")) as service, client_of(service) as client:
        seconds_until(lambda: sum("running on" in line for line in service.log) == 2)
        for number in range(5):
            assert client.put(f"/index/items/{number}", content=PICTURE).status_code == 201
            time.sleep(SEEN_S)
            with ExitStack() as stack:  # each on a connection of its own, so that both workers answer
                asked = [stack.enter_context(client_of(service)) for _ in range(16)]
                assert all(f"{number}" in dict(found(one)) for one in asked)
        text = client.get("/metrics").text.splitlines()
        assert [line for line in text if line.startswith("fewlabel_index_items ")] == ["fewlabel_index_items 5.0"]


def test_a_service_that_starts_has_read_everything(address: str) -> None:
    with running_service("--index", address) as service, client_of(service) as client:
        for number in range(20):
            client.put(f"/index/items/{number}", content=PICTURE)
    with running_service("--index", address) as service, client_of(service) as client:
        assert client.get("/index").json()["searched"] == 10_020, "the first answer knows all of them"
        assert len(found(client, "&k=100")) == 20


def test_nothing_is_written_before_somebody_writes(tmp_path: Path) -> None:
    with running_service("--index", str(tmp_path / "folder" / "x")) as service, client_of(service) as client:
        client.post("/search", content=PICTURE)
        client.get("/index/items")
        time.sleep(0.6)
    assert list(tmp_path.iterdir()) == []


def test_the_bundles_images_have_thumbnails(tmp_path: Path) -> None:
    with np.load(BUNDLE / INDEX) as arrays, running_service("--index", str(tmp_path / "x")) as service:
        for own_id, pixels in list(zip(arrays["ids"], arrays["thumbnails"], strict=True))[::3000]:
            content = httpx.get(f"{service.url}/index/thumbnails/{own_id}").content
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)


def damaged(path: Path) -> str:
    path.write_bytes(os.urandom(50_000))
    return "damaged"


def foreign(path: Path) -> str:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mine (a)")
        other.commit()
    return "another program's"


def newer(path: Path) -> str:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"PRAGMA application_id = {0x46574C42}")
        other.execute("PRAGMA user_version = 99")
    return "schema 99"


def a_folder(path: Path) -> str:
    path.mkdir()
    return "cannot be opened"


@pytest.mark.parametrize("spoil", [damaged, foreign, newer, a_folder])
def test_a_store_that_cannot_be_used_leaves_the_service_running(tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    path = tmp_path / "x.sqlite"
    reason = spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    with running_service("--index", str(path)) as service, client_of(service) as client:
        refused = client.put("/index/items/a", content=PICTURE)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert reason in refused.json()["detail"]
        totals = client.get("/index").json()
        assert (totals["available"], totals["searched"]) == (False, 10_000)
        assert client.post("/search", content=PICTURE).status_code == 200
        assert client.get("/health/ready").status_code == 200
        if path.is_file():
            assert path.read_bytes() == before, "nothing of it was changed"
            path.unlink()  # somebody has put it right
            for beside in tmp_path.iterdir():
                beside.unlink()
            assert seconds_until(lambda: client.put("/index/items/a", content=PICTURE).status_code == 201) < SEEN_S
            assert found(client) == [("a", None)]


def test_a_start_does_not_wait_long_for_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    with running_service("--index", str(path)) as service, client_of(service) as client:
        client.put("/index/items/a", content=PICTURE)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with running_service("--index", str(path)) as service, client_of(service) as client:
            assert client.post("/search", content=PICTURE).status_code == 200
            assert client.put("/index/items/b", content=PICTURE).status_code == 503
            other.execute("ROLLBACK")
            other.close()
            assert seconds_until(lambda: found(client) == [("a", None)]) < 6
            assert client.put("/index/items/b", content=PICTURE).status_code == 201


def test_what_was_acknowledged_before_sigterm_is_there(address: str) -> None:
    acknowledged: list[str] = []
    with running_service("--index", address) as service:

        def write(name: str) -> None:
            with client_of(service) as client:
                for number in range(10_000):
                    try:
                        status = client.put(f"/index/items/{name}-{number}", content=PICTURE).status_code
                    except httpx.TransportError:
                        return
                    if status == 201:
                        acknowledged.append(f"{name}-{number}")

        threads = [threading.Thread(target=write, args=[f"{name}"]) for name in range(8)]
        for thread in threads:
            thread.start()
        assert seconds_until(lambda: len(acknowledged) >= 50) < 10 * SEEN_S
        service.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert service.process.wait(timeout=20) == -signal.SIGTERM
        assert not [line for line in service.log if "Traceback" in line]
    with closing(open_store(address.replace("{name}", "digits"))) as store:
        kept = {item.id for item in store.page(100_000)}
        assert set(acknowledged) <= kept
        assert store.totals().items == len(kept) <= len(acknowledged) + 8
