"""Settings of the comparisons; the command line derives from these fields and their docstrings."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
Heads = Literal["repeated", "ingress"]
"""Request heads: the same few lines each time, or with lines of their own, as an ingress passes them on."""


@dataclass(frozen=True)
class Load:
    """What wrk puts on a server."""

    heads: Heads
    connections: int
    """At once, each with one request under way."""

    def __str__(self) -> str:
        return f"{self.heads} heads, {self.connections} connection{'s' * (self.connections > 1)}"


@dataclass(frozen=True)
class MeasureSettings:
    """How one server is measured."""

    server_python: Path = ROOT / ".venv" / "serve" / "bin" / "python"
    """Interpreter that starts this service: one that has the `serve` extra."""
    rounds: int = 9
    """How often everything is measured; the figures are medians over the rounds."""
    seconds: int = 2
    """How long one measurement lasts, seconds."""
    warmup: int = 1
    """How long a server is loaded before each measurement, seconds."""
    server_core: int = 0
    """The CPU that all processes of the measured server share."""
    load_core: int = 1
    """The CPU that wrk has to itself."""
    start_timeout_s: int = 120
    """How long a server may take until it is ready, seconds."""


@dataclass(frozen=True)
class CompareSettings(MeasureSettings):
    """Measures this service beside other serving frameworks that serve the same model.

    Each framework is installed into a venv of its own, pinned to one core, and loaded by wrk from another. Every
    measurement stands beside one of the yardstick, a FastAPI route that answers a constant. Progress goes to stderr;
    the last line on stdout is one JSON document.
    """

    peer_python: Path = Path(sys.executable)
    """Interpreter that the frameworks' venvs are made with."""
    only: tuple[str, ...] = ()
    """Names of the frameworks to measure (folders of loadtest/compare/peers); all when not given."""
    concurrency: tuple[int, ...] = (1, 16, 64)
    """Connections at once, each with one request under way."""
    heads: tuple[Heads, ...] = ("repeated", "ingress")
    """Request heads to send: `repeated` at each concurrency, `ingress` at the highest alone."""
    extra: bool = True
    """Also measure the rest of this service: multipart, batches, search, CPU time, memory, start."""
    results: Path = ROOT / "loadtest" / "compare" / "results"
    """Folder that receives compare.json and compare.png."""
    documents: tuple[Path, ...] = (ROOT / "README.md", ROOT / "loadtest" / "README.md")
    """Markdown files whose table between <!-- compare --> and <!-- /compare --> is renewed."""

    @property
    def most(self) -> int:
        """The highest concurrency."""
        return max(self.concurrency)

    @property
    def loads(self) -> list[Load]:
        """All that a server is loaded with in a round, one after another."""
        repeated = [Load("repeated", connections) for connections in self.concurrency]
        return [load for load in [*repeated, Load("ingress", self.most)] if load.heads in self.heads]
