"""The load test against the real service, and against services that answer wrongly."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from loadtest.__main__ import exceeded
from loadtest.payloads import load_digits
from loadtest.settings import LoadSettings
from tests.conftest import ROOT
from tests.servers import clean_environment, running_service

SURE = {"confidence": 1.0}
SHORT = ["--duration-s", "3", "--users", "4", "--max-p99-ms", "5000"]


def load_test(results: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "loadtest", "--results", str(results), *SHORT, *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=120)


def test_the_payloads_are_distinct_real_digits() -> None:
    payloads, labels = load_digits()
    assert len(set(payloads)) == len(labels) == 1000
    assert all(payload.startswith(b"\x89PNG") for payload in payloads)


def test_a_load_test_of_the_service_passes_and_leaves_its_report(tmp_path: Path) -> None:
    result = load_test(tmp_path)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary == json.loads((tmp_path / "summary.json").read_text())
    assert summary["requests"] > 100
    assert summary["failures"] == 0
    assert 0 < summary["p50_ms"] <= summary["p95_ms"] <= summary["p99_ms"] <= summary["max_ms"]
    assert summary["accuracy"] >= 0.97
    assert summary["images"] == {"found": 1000, "sent": 1000}
    assert summary["settings"]["users"] == 4
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "locust_stats.csv").exists()


def test_a_service_with_keys_is_asked_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, key = tmp_path / "keys", "0123456789abcdef"
    file.write_text(f"loadtest {key}\n")
    with running_service("--api-keys-file", str(file)) as service:
        refused = load_test(tmp_path, "--host", service.url)
        monkeypatch.setenv("LOADTEST_API_KEY", key)
        asked = load_test(tmp_path, "--host", service.url)
    assert refused.returncode == 1
    assert "401 this needs a key" in refused.stderr
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout.splitlines()[-1])["failures"] == 0
    assert not [path for path in tmp_path.iterdir() if path != file and key in path.read_text()]
    assert key not in asked.stdout + asked.stderr


class Liar(BaseHTTPRequestHandler):
    """Right while nobody else asks; under load, the digit of somebody else."""

    protocol_version = "HTTP/1.1"
    digits: ClassVar = dict(zip(*load_digits(), strict=True))
    asked = 0

    def do_GET(self) -> None:
        self.answer({"status": "ready", "model": "liar@0", "provider": "none"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        digit = self.digits[body]
        if type(self).asked > 1000:
            digit = (digit + 1) % 10
        self.answer({**SURE, "label": str(digit), "probabilities": [float(digit == one) for one in range(10)]})

    def answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_answers_of_somebody_else_fail_the_run(tmp_path: Path) -> None:
    with serving(Liar) as host:
        result = load_test(tmp_path, "--host", host)
    assert result.returncode == 1
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["failure_ratio"] == 1
    assert "another label" in " ".join(summary["errors"])
    assert "FAILED: failure ratio" in result.stderr


def test_a_service_that_does_not_answer_is_one_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(Liar):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer({"label": "0", "probabilities": []})

    with serving(Wrong) as host:
        result = load_test(tmp_path, "--host", host)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: the service names 8.5% of the digits right")


FINE = {"requests": 10, "failure_ratio": 0.0, "p99_ms": 10.0}


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (FINE, []),
        ({**FINE, "requests": 0}, ["no request"]),
        ({**FINE, "failure_ratio": 0.02}, ["failure ratio"]),
        ({**FINE, "p99_ms": 600.0}, ["p99"]),
        ({**FINE, "failure_ratio": 0.02, "p99_ms": 600.0}, ["failure ratio", "p99"]),
    ],
)
def test_limits(figures: dict[str, Any], words: list[str]) -> None:
    broken = exceeded(figures, LoadSettings(max_failure_ratio=0.01, max_p99_ms=500))
    assert len(broken) == len(words)
    assert all(line.startswith(word) for line, word in zip(broken, words, strict=True))
