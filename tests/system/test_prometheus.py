"""Prometheus reads what the service tells of itself."""

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.http.exchange import Address
from tests.system.running import free_port, needed, running

CONFIGURATION = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: fewlabel
    static_configs:
      - targets: ["{host}:{port}"]
"""
SCRAPE_S = 20


def get(address: Address, path: str) -> str:
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}{path}", timeout=10) as response:
        return str(response.read().decode())


def test_promtool_finds_no_fault(service: Address) -> None:
    checked = subprocess.run(
        [needed("promtool"), "check", "metrics"], input=get(service, "/metrics"), capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_prometheus_reads_the_counts(service: Address, tmp_path: Path) -> None:
    program, port = needed("prometheus"), free_port()
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(host=service[0], port=service[1]))
    get(service, "/health/live")
    arguments = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with running([*arguments, f"--web.listen-address=127.0.0.1:{port}"], tmp_path, port):
        deadline, found = time.monotonic() + SCRAPE_S, dict[str, Any]()
        while not found.get("result") and time.monotonic() < deadline:
            time.sleep(0.2)
            query = "/api/v1/query?query=fewlabel_requests_total%7Broute%3D%22%2Fhealth%2Flive%22%7D"
            found = json.loads(get(("127.0.0.1", port), query))["data"]
        (target,) = json.loads(get(("127.0.0.1", port), "/api/v1/targets"))["data"]["activeTargets"]
    assert found["result"], "nothing was read"
    assert (target["health"], target["lastError"]) == ("up", "")
