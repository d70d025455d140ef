"""API keys through reverse proxies and from Prometheus, as README.md says."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.exchange import Address
from tests.servers import running_service
from tests.system.proxies import NAMES, proxying
from tests.system.running import free_port, needed, running

KEY = "0123456789abcdef"
CONFIGURATION = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: fewlabel
    authorization: {{credentials_file: {file}}}
    static_configs: [{{targets: ["{host}:{port}"]}}]
"""
SCRAPE_S = 20


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"proxy {KEY}\n")
    with running_service("--api-keys-file", str(file)) as service:
        yield service.address()


def status(address: Address, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"http://{address[0]}:{address[1]}/model", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code if error.headers["WWW-Authenticate"] == "Bearer" else 0


@pytest.mark.parametrize("name", NAMES)
def test_keys_pass_the_proxies(keyed: Address, tmp_path: Path, name: str) -> None:
    with proxying(name, keyed, tmp_path) as proxy:
        assert status(proxy.address, {"X-API-Key": KEY}) == 200
        assert status(proxy.address, {"Authorization": f"Bearer {KEY}"}) == 200
        assert status(proxy.address, {}) == 401


def test_prometheus_sends_a_key(keyed: Address, tmp_path: Path) -> None:
    program, port, file = needed("prometheus"), free_port(), tmp_path / "key"
    file.write_text(f"{KEY}\n")
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(file=file, host=keyed[0], port=keyed[1]))
    arguments = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with running([*arguments, f"--web.listen-address=127.0.0.1:{port}"], tmp_path, port):
        deadline, found = time.monotonic() + SCRAPE_S, list[tuple[str, str]]()
        while found in ([], [("unknown", "")]) and time.monotonic() < deadline:
            time.sleep(0.2)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/targets", timeout=10) as response:
                targets = json.load(response)["data"]["activeTargets"]
            found = [(target["health"], target["lastError"]) for target in targets]
    assert found == [("up", "")]
