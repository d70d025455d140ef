"""A training on one's own pictures as a process of its own, and what its figures depend on besides data and options."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.manifest import Manifest
from training.data.errors import DataError
from training.own.settings import OwnSettings

BETWEEN = ("sh", "-c", '"$@"; exit $?', "sh")
"""Starts a command from a shell: Linux counts the memory of the process that forks towards the peak of the new one."""


def trained(own: OwnSettings, options: str, threads: int | None, log: Path) -> dict[str, Any]:
    """Runs `python -m training.own` and returns its summary; raises DataError with the last line of its log.

    Args:
        own: of these data, name, encoder, serve, size, cache and models count.
        options: more of them, as in a shell.
        threads: of torch; as the environment says if None.
        log: file that receives what it says.
    """
    fields = ("data", "name", "encoder", "serve", "models", "cache", *(["size"] if own.size else []))
    command = [sys.executable, "-m", "training.own", *shlex.split(options)]
    for name in fields:
        command += [f"--{name}", str(getattr(own, name))]
    said, code = output_of(command, {"OMP_NUM_THREADS": str(threads)} if threads else {}, log)
    if code:
        end = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise DataError(f"{' '.join(end)} (the training ended with {code}; {log} tells more)")
    summary: dict[str, Any] = json.loads(said.splitlines()[-1])
    return summary


def output_of(command: Sequence[str], environment: dict[str, str], log: Path) -> tuple[str, int]:
    """What a command writes to stdout, and its exit code; stderr goes to `log`."""
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [*BETWEEN, *command], stdout=subprocess.PIPE, stderr=file, text=True, env=os.environ | environment
        )
    return done.stdout, done.returncode


def conditions(manifest: Manifest) -> dict[str, object]:
    """Commit, machine, device and versions with which a bundle was made on this machine."""
    return {
        "commit": manifest.git_commit,
        "cpu": cpu(),
        "cores": os.cpu_count(),
        **{name: manifest.training[name] for name in ("device", "threads", "precision")},
        "packages": manifest.packages,
    }


def cpu() -> str:
    """The model of this machine's processor."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
