"""One load test from start to verdict: `python -m loadtest --help`."""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import tyro

from loadtest.errors import LoadTestError
from loadtest.reference import Reference, ask, of_digits, of_files
from loadtest.settings import LoadSettings

START_TIMEOUT_S = 60
LOCUSTFILE = Path(__file__).parent / "locustfile.py"


@contextmanager
def started_service(python: Path, model_dir: Path | None) -> Iterator[str]:
    """A service on a free port of this machine, stopped at the end; gives its address."""
    command = [str(python), "-m", "serving", "--port", "0"]
    command += ["--model-dir", str(model_dir)] if model_dir else []
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield _address(process.stderr, process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _address(log: IO[str], process: "subprocess.Popen[str]") -> str:
    for line in log:
        sys.stderr.write(line)
        if found := re.search(r"running on (http://[^\s\"]+)", line):
            threading.Thread(target=lambda: sys.stderr.writelines(log), daemon=True).start()
            return found[1]
    raise LoadTestError(f"the service did not start (exit code {process.wait()}): see the lines above")


def wait_until_ready(host: str) -> dict[str, Any]:
    """What /health/ready answers, as soon as it does."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return ask(f"{host}/health/ready")
        except OSError as error:
            if time.monotonic() > deadline:
                raise LoadTestError(f"{host} was not ready within {START_TIMEOUT_S} s: {error}") from error
            time.sleep(0.05)


def run_locust(host: str, reference: Reference, settings: LoadSettings) -> dict[str, Any]:
    """Locust's figures after `duration_s` of load."""
    settings.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        plan_file, summary_file = Path(folder) / "plan.json", Path(folder) / "summary.json"
        paths = None if reference.paths is None else list(map(str, reference.paths))
        plan_file.write_text(json.dumps({"labels": reference.labels, "paths": paths}))
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", host]
        command += ["--users", str(settings.users), "--spawn-rate", str(settings.users)]
        command += ["--run-time", f"{settings.duration_s}s", "--processes", str(settings.processes)]
        command += ["--html", str(settings.results / "report.html"), "--csv", str(settings.results / "locust")]
        command += ["--csv-full-history", "--only-summary", "--reset-stats", "--exit-code-on-error", "0"]
        variables = {"LOADTEST_PLAN": str(plan_file), "SUMMARY": str(summary_file), "RATE": str(settings.rate)}
        root = str(LOCUSTFILE.parent.parent)
        environment = {**os.environ, **variables, "PYTHONPATH": root}
        code = subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode
        if code != 0 or not summary_file.exists():
            raise LoadTestError(f"Locust did not finish (exit code {code}): see the lines above")
        figures: dict[str, Any] = json.loads(summary_file.read_text())
        return figures


def exceeded(figures: dict[str, Any], settings: LoadSettings) -> list[str]:
    """Which limits the figures break, in words."""
    broken = []
    if figures["requests"] == 0:
        return ["no request was answered"]
    if figures["failure_ratio"] > settings.max_failure_ratio:
        broken.append(f"failure ratio {figures['failure_ratio']:.4f} > {settings.max_failure_ratio}")
    if figures["p99_ms"] > settings.max_p99_ms:
        broken.append(f"p99 {figures['p99_ms']} ms > {settings.max_p99_ms} ms")
    return broken


def run(settings: LoadSettings) -> dict[str, Any]:
    """The whole test; its figures, conditions and verdict."""
    if settings.host and settings.model_dir:
        raise LoadTestError("--host's service has its bundle: give --host, or --model-dir for one that is started")
    started = partial(started_service, settings.server_python, settings.model_dir)
    with nullcontext(settings.host) if settings.host else started() as host:
        host = host.rstrip("/")
        ready = wait_until_ready(host)
        print(f"asking the unloaded service for up to 1,000 reference answers, {host}", file=sys.stderr)
        reference = of_digits(host, settings.min_accuracy) if settings.data is None else of_files(host, settings.data)
        figures = run_locust(host, reference, settings)
    shown = {key: value for key, value in asdict(settings).items() if key not in ("server_python", "results")}
    return {
        **figures,
        "exceeded": exceeded(figures, settings),
        "accuracy": reference.accuracy,
        "images": reference.images,
        "model": ready["model"],
        "provider": ready["provider"],
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in shown.items()},
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "locust": version("locust"),
        "loop": "open" if settings.rate else "closed",
    }


def main() -> int:
    """Exit code 0 when every limit held, else 1."""
    settings = tyro.cli(LoadSettings, prog="python -m loadtest")
    try:
        summary = run(settings)
    except (LoadTestError, OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    (settings.results / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    for line in summary["exceeded"]:
        print(f"FAILED: {line}", file=sys.stderr)
    print(f"report: {settings.results / 'report.html'}", file=sys.stderr)
    print(json.dumps(summary))
    return 1 if summary["exceeded"] else 0


if __name__ == "__main__":
    sys.exit(main())
