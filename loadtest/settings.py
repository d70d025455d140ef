"""What a load test can be told; the command line derives from these fields and their docstrings."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LoadSettings:
    """Posts images to the service for a while and says whether it kept up: 1,000 real digits, or your own files.

    Progress goes to stderr; the last line on stdout is one JSON document. Exit code 1 when a limit is exceeded.
    """

    host: str | None = None
    """Address of a running service (http://host:port); one is started for the test when not given."""
    server_python: Path = Path(sys.executable)
    """Interpreter that starts the service: one that has the `serve` extra."""
    model_dir: Path | None = None
    """Folder of the bundle that a service started for the test serves; the digits' when not given."""
    data: Path | None = None
    """Folder of your own image files, of which up to 1,000 are posted; the digits of examples/ when not given."""
    users: int = 32
    """Users at once; each sends its next image when the last is answered, unless `rate` is given."""
    rate: float = 0.0
    """Requests a second and user (open loop, as far as the users keep up); 0 for as fast as answers come."""
    processes: int = 2
    """Locust processes that share the users."""
    duration_s: int = 20
    """How long the load lasts, seconds."""
    max_failure_ratio: float = 0.0
    """Largest share of failed requests that passes."""
    max_p99_ms: float = 500.0
    """Largest 99th percentile of response times that passes, milliseconds."""
    min_accuracy: float = 0.95
    """Smallest share of the 1,000 digits that the unloaded service must name right; not asked with `data`."""
    results: Path = Path("loadtest/results")
    """Folder that receives report.html, the CSV files and summary.json."""


def headers() -> dict[str, str]:
    """Of each request; with a key where LOADTEST_API_KEY holds one: every user of a machine can read options."""
    key = os.environ.get("LOADTEST_API_KEY")
    return {"Content-Type": "application/octet-stream", **({"X-API-Key": key} if key else {})}
