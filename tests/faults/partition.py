"""Row: two services on one PostgreSQL, one of which the network cuts off from it for a while.

That one runs in a network namespace of its own with two cables: over one it reaches PostgreSQL, over the other clients
reach it. Where namespaces cannot be made, which takes root and Linux, the row says so and is counted as left out.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from serving.index.store import open_store
from tests.faults.rows import Check, Conditions, LeftOut, Row
from tests.faults.service import Address, ask
from tests.faults.stops import seconds_until
from tests.faults.stores import Searches, Servers, checks, others
from tests.faults.writers import Told, damage, writing
from tests.serving.index.postgres import postgres

CUT_S = 20
CLIENTS = 4
KEY = "partition-0123456789"
HEADERS = {"X-API-Key": KEY}


@dataclass(frozen=True)
class Network:
    """A namespace and the addresses at both ends of its cables."""

    name: str
    ours: tuple[str, str]
    """PostgreSQL's, and that of clients."""
    theirs: tuple[str, str]
    """In the namespace."""

    def cut(self, cut: bool) -> None:
        """Whether packets to PostgreSQL and back are lost, without a word to either side."""
        ip("link", "set", f"{self.name}a0", "down" if cut else "up")

    @property
    def prefix(self) -> tuple[str, ...]:
        """Runs a command inside."""
        return "ip", "netns", "exec", self.name


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@contextmanager
def network() -> Iterator[Network]:
    """A new one; raises LeftOut where that is not allowed."""
    name, subnet = f"fl{os.getpid() % 10**7}", f"10.213.{os.getpid() % 250}"
    with ExitStack() as stack:
        try:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)  # the cables go with it
            for cable, first in (("a", 0), ("b", 4)):
                here, there = f"{name}{cable}0", f"{name}{cable}1"
                ip("link", "add", here, "type", "veth", "peer", "name", there)
                ip("link", "set", there, "netns", name)
                ip("addr", "add", f"{subnet}.{first + 1}/30", "dev", here)
                ip("link", "set", here, "up")
                ip("-n", name, "addr", "add", f"{subnet}.{first + 2}/30", "dev", there)
                ip("-n", name, "link", "set", there, "up")
            ip("-n", name, "link", "set", "lo", "up")
        except (OSError, subprocess.CalledProcessError) as error:
            reason = str(getattr(error, "stderr", None) or error).strip()
            raise LeftOut(f"no network namespace can be made here: {reason}") from error
        yield Network(name, (f"{subnet}.1", f"{subnet}.5"), (f"{subnet}.2", f"{subnet}.6"))


def searched(address: Address) -> int:
    """How many images a service searches."""
    lines = ["GET /index HTTP/1.1", "Host: localhost", f"X-API-Key: {KEY}", "", ""]
    return int(json.loads(ask(address, "\r\n".join(lines).encode())[1])["searched"])


def partitioned(seconds: float, servers: Servers, conditions: Conditions) -> list[Check]:
    """Both are written to and searched all the time; one cannot reach PostgreSQL for so long."""
    told = {"near": Told(), "far": Told()}
    serving = conditions.checkout.serving
    with ExitStack() as stack:
        net, server = stack.enter_context(network()), stack.enter_context(servers())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server.stop()
        server.start(net.ours[0])
        index = server.new_database()
        keys = folder / "keys"
        keys.write_text(f"tests {KEY}\n")
        near = stack.enter_context(serving(wait="ready", index=index)).address()
        far = stack.enter_context(
            serving(
                wait="ready", prefix=net.prefix, host=net.theirs[1], index=index.replace("127.0.0.1", net.ours[0]),
                api_keys_file=str(keys),
            )
        ).address()  # fmt: skip
        with Searches(near) as near_searches, Searches(far, KEY) as far_searches:
            with writing(near, "near", CLIENTS, told["near"]), writing(far, "far", CLIENTS, told["far"], HEADERS):
                times = cut_off(net, seconds, told["near"], told["far"])
            agree_s = seconds_until(lambda: searched(near) == searched(far))
        with closing(open_store(index)) as store:
            found = damage(store, Told(told["near"].possible | told["far"].possible))
    return [
        *near_searches.checks("near"),
        *far_searches.checks("far"),
        Check("no write was refused to the far one", int(not told["far"].statuses["refused"]), 0),
        Check("neither done nor refused with Retry-After", sum(map(others, told.values())), 0),
        Check("near: write, longest", told["near"].longest_s, 6, "s"),
        Check("near: since its last write when the cut ended", times.near_s, 1, "s"),
        Check("far: all clients write again after", times.far_s, 2, "s"),
        Check("then both search the same after", agree_s, 1, "s"),
        *checks(found),
    ]


class Times(NamedTuple):
    """Seconds."""

    near_s: float
    """Since the last write to the one that was not cut off, at the end of the cut."""
    far_s: float
    """From then on until all clients of the other one had written."""


def cut_off(net: Network, seconds: float, near: Told, far: Told) -> Times:
    """Cuts when all clients have written."""
    seconds_until(lambda: len(near.done_at) == len(far.done_at) == CLIENTS)
    net.cut(True)
    time.sleep(seconds)
    near_s = time.monotonic() - max(near.done_at.values())
    net.cut(False)
    back = time.monotonic()
    seconds_until(lambda: min(far.done_at.values()) > back)
    far_s = min(far.done_at.values()) - back
    return Times(near_s, far_s if far_s > 0 else float("inf"))


PARTITION: dict[str, Row] = {
    f"one of two services cut off from PostgreSQL for {CUT_S} s": partial(partitioned, CUT_S, postgres),
}
