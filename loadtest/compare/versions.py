"""Two versions of this service, interleaved: `python -m loadtest.compare.versions --other DIR`."""

import json
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import tyro

from loadtest.compare import answers, processes, uploads
from loadtest.compare.errors import CompareError
from loadtest.compare.peers import own_service
from loadtest.compare.rounds import Pair, measure_pair
from loadtest.compare.servers import Stage, running
from loadtest.compare.settings import ROOT, Load, MeasureSettings
from loadtest.compare.table import spread
from loadtest.compare.targets import aim
from loadtest.compare.wrk import require_wrk
from loadtest.payloads import load_digits

LOADS = (Load("repeated", 64), Load("ingress", 64), Load("repeated", 1))
Values = dict[str, tuple[float, float]]
"""Figures of one round by their titles: of this version and of the other."""


@dataclass(frozen=True, kw_only=True)
class VersionsSettings(MeasureSettings):
    """Measures the service of this checkout beside that of another, such as a git worktree of an older commit.

    In each round both are started anew by the same interpreter on the same core, asked the same 1,000 digits, and then
    loaded one after the other; which goes first alternates. Progress and the table go to stderr; the last line on
    stdout is one JSON document.
    """

    other: Path
    """Folder of the other checkout."""
    rounds: int = 15
    """How often everything is measured; the figures are medians over the rounds."""


def measure_round(number: int, digits: list[bytes], settings: VersionsSettings) -> Values:
    """Both versions from start to stop.

    Raises CompareError when one does not start, or when they name different digits.
    """
    roots = {"this": ROOT, "other": settings.other.resolve()}
    sent = [uploads.raw(png) for png in digits]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stage = Stage(Path(folder), settings.server_core, settings.start_timeout_s, {})
        servers = {}
        for name in sorted(roots, reverse=number % 2 == 0):
            service = own_service(settings.server_python, root=roots[name])
            servers[name] = stack.enter_context(running(service, None, stage))
        known = [answers.digit_of(answer) for answer in answers.ask(servers["this"], sent)]
        answers.equal_share(servers["other"], sent, known)
        this, other = (aim(name, servers[name], sent, stage.folder) for name in roots)
        for server in servers.values():
            server.pause()
        values = values_of([measure_pair(this, other, load, number, settings) for load in LOADS])
        values["start to ready, s"] = (this.server.start_s, other.server.start_s)
        memory = [processes.pss_bytes(servers[name].pids()) / 1e6 for name in roots]
        values["memory (PSS) after the loads, MB"] = (memory[0], memory[1])
        return values


def values_of(pairs: list[Pair]) -> Values:
    """What a round's sound pairs say: the latency at one connection, rate and CPU time at more."""
    values: Values = {}
    for pair in pairs:
        this, other = pair.sample, pair.reference
        if pair.fault is not None:
            continue
        if pair.load.connections == 1:
            values[f"p50, {pair.load}, ms"] = (this.p50_ms, other.p50_ms)
        else:
            values[f"requests/s, {pair.load}"] = (this.rate, other.rate)
            values[f"CPU µs a request, {pair.load}"] = (this.cpu_us, other.cpu_us)
    return values


def summarise(rounds: list[Values]) -> list[dict[str, Any]]:
    """Medians over the rounds; the ratio (this / other) is the median of the rounds' own ratios."""
    rows = []
    for title in dict.fromkeys(title for values in rounds for title in values):
        found = [values[title] for values in rounds if title in values]
        ratios = [this / other for this, other in found]
        this, other = (round(median(column), 4) for column in zip(*found, strict=True))
        middle, lowest, highest = (round(value, 4) for value in (median(ratios), min(ratios), max(ratios)))
        figures = {"this": this, "other": other, "ratio": middle, "lowest": lowest, "highest": highest}
        rows.append({"title": title, **figures, "n": len(found)})
    return rows


def table(results: dict[str, Any]) -> str:
    """Markdown, one line a figure."""
    lines = [
        f"| one worker on one core | {results['this']} | {results['other']} | ratio (lowest to highest) | n |",
        "|---|---|---|---|---|",
    ]
    for row in results["figures"]:
        ratio = spread(row["ratio"], row["lowest"], row["highest"])
        lines.append(f"| {row['title']} | {row['this']:,.4g} | {row['other']:,.4g} | {ratio} | {row['n']} |")
    return "\n".join(lines)


def commit(root: Path) -> str:
    """The checkout's commit, marked where files differ from it; the folder's name without git."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or root.name


def run(settings: VersionsSettings) -> dict[str, Any]:
    """All rounds; the document that is printed."""
    wrk = require_wrk()
    processes.require_cores(settings.server_core, settings.load_core)
    digits, _ = load_digits()
    rounds = [measure_round(number, digits, settings) for number in range(settings.rounds)]
    return {
        "this": commit(ROOT),
        "other": commit(settings.other.resolve()),
        "cpu": processes.cpu_model(),
        "wrk": wrk,
        "seconds": settings.seconds,
        "figures": summarise(rounds),
        "rounds": rounds,
    }


def main() -> int:
    """Exit code 0 when everything could be measured."""
    settings = tyro.cli(VersionsSettings, prog="python -m loadtest.compare.versions")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped then too
    try:
        results = run(settings)
    except (CompareError, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(results), file=sys.stderr)
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
