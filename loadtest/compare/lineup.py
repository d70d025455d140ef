"""All servers started, their answers checked, and then put to sleep."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.compare import answers, processes, uploads
from loadtest.compare.costs import idle_share
from loadtest.compare.environments import ensure_environment
from loadtest.compare.errors import CompareError
from loadtest.compare.extra import MODEL
from loadtest.compare.peers import PEERS, YARDSTICK, Peer, load_peer, load_peers, own_service
from loadtest.compare.servers import Server, Stage, running
from loadtest.compare.settings import CompareSettings
from loadtest.compare.targets import Target, aim

IDLE_S = 1.0
"""How long a server is watched before it is put to sleep."""


@dataclass
class Lineup:
    """Who is compared. The yardstick is the reference of the others."""

    stage: Stage
    own: Target
    yardstick: Target
    peers: list[Target] = field(default_factory=list)
    equal_digits: dict[str, float] = field(default_factory=dict)
    """Share of a server's digits that equal this service's."""
    idle_cpu: dict[str, float] = field(default_factory=dict)
    """Cores that a server uses while nothing is asked; it does not during others' measurements."""

    @property
    def compared(self) -> list[Target]:
        """All but the yardstick."""
        return [self.own, *self.peers]


def install_all(settings: CompareSettings) -> dict[str, Path]:
    """Folders of executables, by the name of the framework."""
    frameworks = [load_peer(PEERS / YARDSTICK), *load_peers(settings.only)]
    return {peer.name: ensure_environment(peer, settings.peer_python) for peer in frameworks}


@contextmanager
def lined_up(
    digits: list[bytes], executables: dict[str, Path], folder: Path, settings: CompareSettings
) -> Iterator[Lineup]:
    """All servers, asleep; none of their processes is left at the end."""
    stage = Stage(folder, settings.server_core, settings.start_timeout_s, {"MODEL": str(MODEL)})
    with ExitStack() as stack:

        def start(peer: Peer) -> Server:
            print(f"starting {peer.name}", file=sys.stderr)
            return stack.enter_context(running(peer, executables.get(peer.name), stage))

        own = start(own_service(settings.server_python))
        reference = answers.ask(own, [uploads.raw(png) for png in digits])
        stage.variables.update(MODEL_NAME=json.loads(reference[0])["model"], ANSWER=typical(reference).decode())
        yardstick = start(load_peer(PEERS / YARDSTICK))
        lineup = Lineup(stage, target_of(own, digits, folder), target_of(yardstick, digits, folder))
        for server in (own, yardstick):
            lineup.idle_cpu[server.peer.name] = put_to_sleep(server, settings.server_core)
        known = [answers.digit_of(answer) for answer in reference]
        for peer in load_peers(settings.only):
            server = start(peer)
            lineup.peers.append(target_of(server, digits, folder))
            lineup.equal_digits[peer.name] = answers.equal_share(server, encoded(peer, digits), known)
            lineup.idle_cpu[peer.name] = put_to_sleep(server, settings.server_core)
        yield lineup


def encoded(peer: Peer, digits: list[bytes]) -> list[uploads.Upload]:
    """The images in the framework's own way."""
    return [uploads.ENCODERS[peer.body](png) for png in digits]


def target_of(server: Server, digits: list[bytes], folder: Path) -> Target:
    """The framework's row."""
    return aim(server.peer.name, server, encoded(server.peer, digits), folder)


def put_to_sleep(server: Server, core: int) -> float:
    """Cores that it used until then though nobody asked anything; an error when it does not keep to its own."""
    share = idle_share(server, IDLE_S)
    if (left := processes.cores(server.pids())) != {core}:
        raise CompareError(f"{server.peer.name} has left its core {core} for {left}")
    server.pause()
    return round(share, 4)


def typical(reference: list[bytes]) -> bytes:
    """The answer of median length, for the yardstick to repeat."""
    return sorted(reference, key=len)[len(reference) // 2]
