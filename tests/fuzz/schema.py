"""Schemathesis: requests drawn from the OpenAPI document, and answers compared with it."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "allow_header_conformance", "unsupported_method",
)  # fmt: skip
"""Those that hold for any request; whether a random body is an image is beyond a schema."""


def run(url: str, seed: int, examples: int) -> dict[str, Any]:
    """Tests the service at `url`: schemathesis's report, with its exit status and, if that is not 0, its words."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks", ",".join(CHECKS),
            "--max-examples", str(examples), "--seed", str(seed), "--request-timeout", "15", "--continue-on-failure",
            "--generation-database", "none", "--warnings", "off", "--no-color",
            "--report", "json", "--report-json-path", str(report),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # where hypothesis leaves files
        found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    return {"exit": done.returncode, "report": found, "words": done.stdout + done.stderr}
