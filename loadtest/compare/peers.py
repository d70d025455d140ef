"""What is compared: a folder with a server, its requirements and peer.toml. Starts nothing."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.compare.errors import CompareError
from loadtest.compare.settings import ROOT

PEERS = Path(__file__).parent / "peers"
YARDSTICK = "yardstick"


@dataclass(frozen=True)
class Peer:
    """One framework; {bin}, {port}, {port2}, {port3} and {folder} in its command and variables are filled in."""

    name: str
    title: str
    command: tuple[str, ...]
    folder: Path | None = None
    """What is copied to where the server runs; a server without one runs in `root`."""
    root: Path = ROOT
    path: str = "/predict"
    """Where uploads go."""
    body: str = "raw"
    """How an upload is written: a name of `uploads.ENCODERS`."""
    ready: str = "/health/ready"
    """What answers 200 when the server takes uploads."""
    variables: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    sleeps: bool = True
    """Whether it can be stopped while others are measured; false where it would end itself."""
    environment: str = ""
    """The framework whose venv it shares; its own when not given."""

    @property
    def venv(self) -> str:
        """The name of its venv and of the folder with that one's requirements.txt."""
        return self.environment or self.name


def load_peer(folder: Path) -> Peer:
    """What the folder's peer.toml says."""
    told = tomllib.loads((folder / "peer.toml").read_text())
    return Peer(name=folder.name, folder=folder, **{**told, "command": tuple(told["command"])})


def load_peers(only: tuple[str, ...]) -> list[Peer]:
    """The frameworks to measure, without the yardstick."""
    peers = {path.parent.name: load_peer(path.parent) for path in sorted(PEERS.glob("*/peer.toml"))}
    del peers[YARDSTICK]
    if unknown := set(only) - set(peers):
        raise CompareError(f"there is no {', '.join(sorted(unknown))}, only {', '.join(peers)}")
    return [peer for name, peer in peers.items() if not only or name in only]


def own_service(python: Path, *options: str, root: Path = ROOT) -> Peer:
    """The service of the checkout `root`, as `make serve` starts it."""
    command = (str(python), "-m", "serving", "--provider", "cpu", "--port", "{port}", *options)
    return Peer(name="fewlabel", title="fewlabel", command=command, root=root)
