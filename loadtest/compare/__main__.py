"""The comparison from start to table: `python -m loadtest.compare --help`."""

import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro

from loadtest.compare.costs import costs
from loadtest.compare.environments import versions
from loadtest.compare.errors import CompareError
from loadtest.compare.extra import under_load
from loadtest.compare.lineup import Lineup, install_all, lined_up
from loadtest.compare.peers import YARDSTICK
from loadtest.compare.plot import draw
from loadtest.compare.processes import cpu_model, require_cores
from loadtest.compare.rounds import Pair, measure_all
from loadtest.compare.rows import Row
from loadtest.compare.settings import CompareSettings
from loadtest.compare.summary import reference_figures, summarise
from loadtest.compare.table import replace_between, table
from loadtest.compare.wrk import require_wrk
from loadtest.payloads import load_digits

PATHS = ("server_python", "peer_python", "results", "documents")
"""Settings that tell nothing about the figures."""


def run(settings: CompareSettings) -> dict[str, Any]:
    """Everything; the document that compare.json becomes."""
    require_wrk()
    require_cores(settings.server_core, settings.load_core)
    digits, _ = load_digits()
    executables = install_all(settings)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with lined_up(digits, executables, folder, settings) as lineup:
            pairs = measure_all(lineup.compared, lineup.yardstick, settings)
            if settings.extra:
                rows += under_load(lineup.own.server, digits, folder, settings)
        if settings.extra:
            rows += costs(digits, lineup.stage, settings)
    installed = {"fewlabel": versions(settings.server_python)}
    installed |= {name: versions(folder / "python") for name, folder in executables.items()}
    return document(lineup, pairs, rows, {**conditions(settings), "images": len(digits)}, installed)


def document(
    lineup: Lineup,
    pairs: list[Pair],
    rows: list[Row],
    told: dict[str, Any],
    installed: dict[str, dict[str, str]],
) -> dict[str, Any]:
    """Figures first, then what they are made of."""
    everybody = [*lineup.compared, lineup.yardstick]
    return {
        "conditions": {**told, "model": lineup.stage.variables["MODEL_NAME"]},
        "titles": {target.name: target.server.peer.title for target in everybody},
        "figures": [asdict(one) for one in [*summarise(pairs), *reference_figures(YARDSTICK, pairs)]],
        "extra": [row.as_dict() for row in rows],
        "equal_digits": lineup.equal_digits,
        "idle_cpu": lineup.idle_cpu,
        "versions": installed,
        "samples": [pair.as_dict() for pair in pairs],
    }


def conditions(settings: CompareSettings) -> dict[str, Any]:
    """Machine, tools and settings."""
    asked = [str(settings.server_python), "-c", "import platform; print(platform.python_version())"]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip(),
        "wrk": require_wrk(),
        "settings": {key: value for key, value in asdict(settings).items() if key not in PATHS},
    }


def write(results: dict[str, Any], settings: CompareSettings) -> None:
    """JSON, picture and tables."""
    settings.results.mkdir(parents=True, exist_ok=True)
    (settings.results / "compare.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(results, settings.results / "compare.png")
    for markdown in settings.documents:
        replace_between(markdown, table(results))


def main() -> int:
    """Exit code 0 when everything could be measured."""
    settings = tyro.cli(CompareSettings, prog="python -m loadtest.compare")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped then too
    try:
        results = run(settings)
        write(results, settings)
    except (CompareError, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(results), file=sys.stderr)
    print(json.dumps({key: value for key, value in results.items() if key not in ("samples", "versions")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
