"""One venv a framework, made again when its requirements change, as the Makefile does with this project's own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from loadtest.compare.errors import CompareError
from loadtest.compare.peers import PEERS, Peer
from loadtest.compare.settings import ROOT

VENVS = ROOT / ".venv" / "peers"
LIST = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"


def ensure_environment(peer: Peer, python: Path) -> Path:
    """The folder of executables in the framework's venv, which exists afterwards."""
    requirements = PEERS / peer.venv / "requirements.txt"
    folder = VENVS / peer.venv
    stamp = folder / ".ready"
    wanted = requirements.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {peer.venv} into .venv/peers/{peer.venv}", file=sys.stderr)
        install(folder, requirements, python)
        stamp.write_text(wanted)
    return folder / "bin"


def install(folder: Path, requirements: Path, python: Path) -> None:
    """A new venv with these packages."""
    subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, "-r", str(requirements)], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder)
        raise CompareError(f"{folder.name} could not be installed:\n{done.stderr[-2000:]}")


def versions(python: Path) -> dict[str, str]:
    """Every installed package."""
    listed = subprocess.run([python, "-c", LIST], capture_output=True, text=True, check=True).stdout
    installed: dict[str, str] = json.loads(listed)
    return dict(sorted(installed.items(), key=lambda item: item[0].lower()))
