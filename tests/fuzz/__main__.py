"""`python -m tests.fuzz`: the service under damaged uploads, streams and forms; the last line is one JSON document.

Exit status 1 says that something was found: the bytes that reproduce it lie in the folder.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

from tests.conftest import ROOT
from tests.fuzz import multipart, schema
from tests.fuzz.client import Client, Observer, for_each, observed
from tests.fuzz.findings import Findings
from tests.fuzz.memory import watched
from tests.fuzz.streams import CLIENT_S, REQUEST_S, Streams
from tests.fuzz.uploads import Uploads
from tests.servers import Service, running_service

MAX_GROWTH_MB = 5.0
ENOUGH_S = 60.0
"""A shorter part says nothing about memory."""
READY_S = 30.0


@dataclass(frozen=True)
class Settings:
    """What to fuzz, and for how long."""

    seed: int = 0
    """Another seed makes other cases; the same one makes the same."""
    uploads: int = 60_000
    """Requests with pictures; about one in eight is a clean digit."""
    streams: int = 40_000
    """Streams of pipelined requests, one connection each."""
    forms: int = 100_000
    """Multipart bodies."""
    examples: int = 300
    """Requests that schemathesis draws for each operation of the API."""
    workers: int = 2
    """Processes of the service."""
    folder: Path = ROOT / "runs" / "fuzz"
    """Where findings go; emptied first."""


@contextmanager
def service(settings: Settings, findings: Findings, *options: str) -> Iterator[Service]:
    """A running service that is ready; what it logs about bugs is a finding."""
    index = findings.folder / f"{findings.part}.sqlite"
    with running_service("--workers", str(settings.workers), "--index", str(index), *options) as running:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                with Client(running.address()) as client:
                    client.ask("/health/ready", b"")
                break
            except ConnectionError:
                assert time.monotonic() < deadline, running.log
                time.sleep(0.1)
        yield running
        assert running.process.poll() is None, running.log
    bugs = [line for line in running.log if "Traceback" in line or "unexpected error" in line]
    findings.fail(0, [f"{len(bugs)} bugs in the log"] if bugs else [], "".join(running.log).encode())
    findings.count("decoders replaced", sum("decoder process is replaced" in line for line in running.log))


def fuzz_server(
    settings: Settings,
    count: int,
    findings: Findings,
    options: list[str],
    case: Callable[[Uploads, Service], Callable[[int, Client], None]],
) -> dict[str, Any]:
    """Sends `count` cases to a service of their own, clean digits beside them, and watches its memory."""
    uploads = Uploads(settings.seed, findings)
    with service(settings, findings, *options) as running:
        with Client(running.address()) as client:
            uploads.learn(client)
        observer = Observer(running.address(), uploads.known(), findings)
        started = time.monotonic()
        with watched(running.process.pid) as memory, observed(observer):
            for_each(count, findings.part, running.address(), case(uploads, running))
        took = time.monotonic() - started
    if took >= ENOUGH_S and memory.growth_mb() > MAX_GROWTH_MB:
        findings.fail(0, [f"the memory grows: {memory.summary()}"])
    return {"cases": count, "seconds": round(took), **findings.summary(), **observer.summary(), **memory.summary()}


def fuzz_uploads(settings: Settings, findings: Findings) -> dict[str, Any]:
    """Mutated pictures."""
    return fuzz_server(settings, settings.uploads, findings, [], lambda uploads, _running: uploads.run)


def fuzz_streams(settings: Settings, findings: Findings) -> dict[str, Any]:
    """Mutated streams."""
    options = ["--request-timeout-s", str(REQUEST_S), "--client-timeout-s", str(CLIENT_S)]
    return fuzz_server(
        settings,
        settings.streams,
        findings,
        options,
        lambda _uploads, running: Streams(settings.seed, running.address(), findings).run,
    )


def fuzz_forms(settings: Settings, findings: Findings) -> dict[str, Any]:
    """Mutated multipart bodies."""
    for number in tqdm(range(settings.forms), findings.part, mininterval=10, disable=None):
        multipart.run(settings.seed, number, findings)
    return {"cases": settings.forms, **findings.summary()}


def fuzz_schema(settings: Settings, findings: Findings) -> dict[str, Any]:
    """Requests from the OpenAPI document."""
    with service(settings, findings) as running:
        found = schema.run(running.url, settings.seed, settings.examples)
    findings.fail(0, [] if found["exit"] == 0 else ["see the file"], found["words"].encode())
    generated = found["report"].get("test_cases", {}).get("generated", 0)
    return {"cases": generated, "findings": findings.failures}


PARTS: dict[str, Callable[[Settings, Findings], dict[str, Any]]] = {
    "forms": fuzz_forms,
    "schema": fuzz_schema,
    "uploads": fuzz_uploads,
    "streams": fuzz_streams,
}


def run(settings: Settings) -> dict[str, Any]:
    """Every part that has cases; counts and findings of each."""
    shutil.rmtree(settings.folder, ignore_errors=True)
    counts = {"forms": settings.forms, "schema": settings.examples}
    counts |= {"uploads": settings.uploads, "streams": settings.streams}
    found = {part: PARTS[part](settings, Findings(part, settings.folder)) for part, count in counts.items() if count}
    return {"seed": settings.seed, **found, "findings": sum(one["findings"] for one in found.values())}


def main() -> None:
    result = run(tyro.cli(Settings))
    print(json.dumps(result))
    sys.exit(1 if result["findings"] else 0)


if __name__ == "__main__":
    main()
