"""Keys where several processes read them, as the service is run."""

import subprocess
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.conftest import ROOT
from tests.servers import clean_environment, command, running_service

OLD, NEW = "old-0123456789abcdef", "new-0123456789abcdef"
CONNECTIONS = 40
"""So many that each of two workers accepts some."""


def statuses(url: str, key: str) -> set[int]:
    """Each on a connection of its own."""
    return {httpx.get(f"{url}/model", headers={"X-API-Key": key}).status_code for _ in range(CONNECTIONS)}


def test_every_worker_reads_the_keys_again(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"alice {OLD}\n")
    with running_service("--workers", "2", "--api-keys-file", str(file)) as service:
        assert statuses(service.url, OLD) == {200}
        assert statuses(service.url, NEW) == {401}
        file.write_text(f"alice {NEW}\n")
        time.sleep(1.1)
        assert statuses(service.url, NEW) == {200}
        assert statuses(service.url, OLD) == {401}
        file.unlink()
        time.sleep(1.1)
        assert statuses(service.url, NEW) == {200}
        assert httpx.get(f"{service.url}/health/ready").status_code == 200
    log = "".join(service.log)
    assert log.count("the keys that were read before stay valid") == 2
    assert OLD not in log
    assert NEW not in log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_bad_file_of_keys_is_one_line_at_the_start(tmp_path: Path, workers: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{OLD}\n")
    started = command("--port", "0", "--workers", workers, "--api-keys-file", str(file))
    done = subprocess.run(started, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    *others, last = done.stderr.splitlines()
    assert last.startswith(f"{file}, line 1: write a name")
    assert {line.split(":")[0] for line in others} <= {"INFO"}
    assert OLD not in done.stderr
