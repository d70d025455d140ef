"""The programs in examples/ against a running service: they find what the service finds, in the same order."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.conftest import ROOT
from tests.servers import Service, clean_environment, running_service
from tests.serving.index.postgres import postgres

KEY = "0123456789abcdef"
IMAGES = ["examples/2.png", "examples/7.png"]
FOUND = 5


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With a user's item beside the bundle's images, and a key."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "keys").write_text(f"example {KEY}\n")
    arguments = ["--api-keys-file", str(folder / "keys"), "--index", str(folder / "index.sqlite")]
    with running_service(*arguments) as service:
        body = (ROOT / IMAGES[1]).read_bytes()
        put = httpx.put(f"{service.url}/index/items/mine/seven.png", content=body, headers={"X-API-Key": KEY})
        assert put.status_code == 201, put.text
        yield service


def found_by_the_service(url: str) -> list[tuple[str, str, float]]:
    """Image, id and score, best first."""
    found = []
    for image in IMAGES:
        content = (ROOT / image).read_bytes()
        answer = httpx.post(f"{url}/search?k={FOUND}", content=content, headers={"X-API-Key": KEY}).json()
        found += [(image, one["id"], one["score"]) for one in answer["neighbors"]]
    return found


def check(service: Service, program: str, **variables: str) -> None:
    command = [sys.executable, f"examples/{program}", service.url, *IMAGES]
    environment = clean_environment(API_KEY=KEY, **variables)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    printed = [line.split("\t") for line in done.stdout.splitlines()]
    expected = found_by_the_service(service.url)
    assert expected[FOUND][1] == "mine/seven.png"
    assert [(image, own_id) for image, own_id, _ in printed] == [(image, own_id) for image, own_id, _ in expected]
    assert [float(score) for *_, score in printed] == pytest.approx([score for *_, score in expected], abs=1e-4)


@pytest.mark.parametrize("program", ["faiss_search.py", "sklearn_search.py"])
def test_own_searches_find_what_the_service_finds(service: Service, program: str) -> None:
    check(service, program)


def test_pgvector_finds_what_the_service_finds(service: Service) -> None:
    with postgres() as server:
        check(service, "pgvector_search.py", PGHOST="127.0.0.1", PGPORT=str(server.port), PGUSER="postgres")


def test_many_images_are_sent_in_parts(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.setenv("API_KEY", KEY)
    import fetch  # type: ignore[import-not-found]

    paths = [ROOT / "examples" / f"{number % 10}.png" for number in range(300)]
    vectors = fetch.embed(service.url, paths)
    assert vectors.shape == (300, 64)
    assert (vectors[:10] == vectors[290:]).all()


def test_readme_names_each_program() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in Path(ROOT / "examples").glob("*_search.py"):
        assert f"examples/{path.name}" in readme
        assert os.fspath(path.name) in path.read_text()
