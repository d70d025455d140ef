"""What API keys cost: `OMP_NUM_THREADS=1 python -m tests.reports.keys`; the last line is JSON.

CPU µs of the service for one POST /predict at the first door, with 1,000 keys, each of them in one of 1,000 requests,
and without: two services, asked in turn with 1,000 distinct digits over 64 connections that stay open. Two processes of
the same service differ by some percent, so both are started anew several times; `control` compares two without keys.
And how long the gate itself takes, to find the fields in a head and the key in the table: median of 20,000.
"""

import argparse
import json
import selectors
import socket
import statistics
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from itertools import cycle
from pathlib import Path

from loadtest.compare.processes import tree
from loadtest.payloads import load_digits
from serving.http.heads import API_KEY, AUTHORIZATION, HeadReader
from serving.http.keys import Keys, bearer
from tests.servers import Service, running_service

CONNECTIONS = 64
KEYS = {f"client-{number}": f"{number:032x}" for number in range(1000)}
LOOKUPS = 20_000


def requests_of(keys: Iterable[str]) -> list[bytes]:
    """POST /predict for each of the digits; with each a key, or "" for none."""
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: report\r\n%bContent-Length: %d\r\n\r\n%b"
    headers = [b"X-API-Key: %b\r\n" % key.encode() if key else b"" for key in keys]
    return [head % (header, len(png), png) for header, png in zip(headers, load_digits()[0], strict=True)]


class Client:
    """Asks one service with these requests, in turn; every connection has one under way."""

    def __init__(self, service: Service, requests: list[bytes]) -> None:
        self._pids, self._sent = tree(service.process.pid), cycle(requests)
        self._connections = [socket.create_connection(service.address()) for _ in range(CONNECTIONS)]
        self.costs: list[float] = []
        """CPU µs of all the service's processes for a request, in each round."""

    def ask(self, count: int) -> None:
        """A round of so many requests."""
        before, left = cpu_seconds(self._pids), count
        with selectors.DefaultSelector() as selector:
            for connection in self._connections:
                selector.register(connection, selectors.EVENT_READ)
                connection.sendall(next(self._sent))
            while left:
                for key, _ in selector.select():
                    assert isinstance(key.fileobj, socket.socket)
                    answer = key.fileobj.recv(65_536)
                    assert answer.startswith(b"HTTP/1.1 200 ")
                    assert answer.endswith(b"}")
                    left -= 1
                    if left >= CONNECTIONS:
                        key.fileobj.sendall(next(self._sent))
        self.costs.append((cpu_seconds(self._pids) - before) / count * 1e6)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def cpu_seconds(pids: set[int]) -> float:
    """CPU time of all threads so far, to the nanosecond; Linux counts it so in schedstat, and in stat by 10 ms."""
    files = (file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def gate_us(file: Path, head: bytes) -> float:
    """Median µs of one check."""
    keys, read, times = Keys(file), HeadReader().read(head), []
    for _ in range(LOOKUPS):
        start = time.perf_counter()
        keys.check(read.values(API_KEY) or bearer(read.values(AUTHORIZATION)))
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def compared(options: argparse.Namespace, sides: list[tuple[list[str], list[bytes]]]) -> list[list[float]]:
    """CPU µs a request of two sides, each the service's arguments and its requests, medians; in each start."""
    found = []
    for start in range(options.starts):
        with ExitStack() as stack:
            clients = [
                stack.enter_context(closing(Client(stack.enter_context(running_service(*arguments)), requests)))
                for arguments, requests in sides
            ]
            for number in range(options.rounds + 1):
                for client in clients[:: -1 if number % 2 else 1]:
                    client.ask(options.requests)
            found.append([statistics.median(client.costs[1:]) for client in clients])  # the first round warms up
            print(f"start {start + 1}: " + ", ".join(f"{cost:.1f} µs" for cost in found[-1]), flush=True)
    return found


def main() -> None:
    """A line for each start, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=3000, help="in each round, of each service")
    options = parser.parse_args()
    plain, keyed = requests_of([""] * len(KEYS)), requests_of(KEYS.values())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "keys"
        file.touch(0o600)
        file.write_text("".join(f"{name} {key}\n" for name, key in KEYS.items()))
        control = compared(options, [([], plain), ([], plain)])
        costs = compared(options, [([], plain), (["--api-keys-file", str(file)], keyed)])
        head = keyed[0].partition(b"\r\n\r\n")[0].replace(b"Content-Length", b"X-Length") + b"\r\n\r\n"
        gate = gate_us(file, head.replace(b"POST", b"GET"))
    names = ("without_us", "with_us")
    figures: dict[str, object] = {
        name: round(statistics.median(each), 1) for name, each in zip(names, zip(*costs, strict=True), strict=True)
    }
    for name, pairs in (("ratio", costs), ("control", control)):
        ratios = [round(second / first, 3) for first, second in pairs]
        figures |= {name: statistics.median(ratios), f"{name}_range": [min(ratios), max(ratios)]}
    print(json.dumps({**figures, "gate_us": round(gate, 2), "n": options.starts}))


if __name__ == "__main__":
    main()
