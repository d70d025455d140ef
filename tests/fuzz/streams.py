"""Mutated streams of pipelined requests: each must be answered by valid HTTP, or the connection closed, in time."""

import socket
import struct
import time
from contextlib import suppress
from random import Random

from tests.fuzz.client import Client
from tests.fuzz.findings import Findings
from tests.fuzz.mutations import mutated
from tests.fuzz.responses import parse
from tests.http.cases import CHUNKS, CODING, DOORS, GET, LENGTH, LIVE, POST
from tests.http.corpus import RUNS
from tests.http.exchange import Address

REQUEST_S, CLIENT_S = 3.0, 1.0
"""The service's own timeouts in this part."""
CLOSE_S = 10.0
"""The connection must be closed after so long."""
TARGETS = (b"/predict?debug=true", b"/embed", b"/search?k=3", b"/predict/batch", b"/nowhere", b"/search/vector")
MAX_ORIGINAL = 20_000
"""Bytes; longer cases of the corpus are about their length alone."""
PIECES: tuple[bytes, ...] = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b"-1",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"\xff",
)
PIECES += (b"HTTP/1.0", b"HTTP/2.0", b"HEAD ", b"PUT ", b"?", b"/", b"http://localhost/", b"ffffffffffffffff\r\n", LIVE)
PIECES += tuple(
    line + b"\r\n"
    for line in (
        b"Content-Length: 5", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
        b"Expect: 100-continue", b"Connection: close", b"Connection: Upgrade", b"Upgrade: h2c", b"Host: localhost",
        b"Host: x", b"X-Request-ID: a", b"Accept: application/octet-stream", b"X-Long: " + b"y" * 3_000,
    )
)  # fmt: skip


class Streams:
    """Cases by number: each is drawn from the seed and its number alone."""

    def __init__(self, seed: int, address: Address, findings: Findings) -> None:
        self._seed = seed
        self._address = address
        self._findings = findings
        corpus = [b"".join(case.pieces(door)) for case, door in RUNS.values()]
        asked = [door.fill(POST.replace(b"<target>", target) + LENGTH) for target in TARGETS for door in DOORS[:1]]
        self._usual = [door.fill(POST + rest) for door in DOORS for rest in (LENGTH, CODING + CHUNKS)] + [LIVE]
        self._originals = [stream for stream in corpus if 0 < len(stream) <= MAX_ORIGINAL] + (self._usual + asked) * 20
        self._others = [GET, POST, *self._originals]

    def run(self, number: int, _client: Client) -> None:
        """Sends one stream and reads all that comes back."""
        random = Random(f"streams {self._seed} {number}")
        whole = random.choices(self._usual, k=random.choice((0, 0, 1, 2, 5)))
        damaged = b"".join(random.choices(self._originals, k=random.randint(1, 5)))
        stream = b"".join(whole) + mutated(damaged, self._others, random, PIECES)
        way = random.choices(("half-close", "abort", "stay"), (94, 3, 3))[0]
        started = time.monotonic()
        received, end = self._exchange(stream, way, random)
        self._findings.took(time.monotonic() - started)
        self._findings.count(f"{way}, {end}")
        complaints = [f"{way}: not closed within {CLOSE_S:g} s"] if end == "silent" else []
        statuses, complaint = parse(received, heads=b"HEAD" in stream)
        for status in statuses:
            self._findings.count(f"status {status}")
        complaints += [f"a {status}" for status in statuses if status >= 500 and status not in (501, 505)]
        complaints += [complaint] if complaint and end == "closed" else []
        self._findings.fail(number, complaints, stream)

    def _exchange(self, stream: bytes, way: str, random: Random) -> tuple[bytes, str]:
        """What came back, and how the connection ended: closed, reset, silent or aborted."""
        received = b""
        with socket.create_connection(self._address, timeout=CLOSE_S) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end = _send(connection, stream, random)
            if way == "abort":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return received, "aborted"
            with suppress(OSError):
                if way == "half-close":
                    connection.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + CLOSE_S
            try:
                while piece := connection.recv(65_536):
                    received += piece
                    connection.settimeout(max(deadline - time.monotonic(), 0.01))
            except TimeoutError:
                return received, "silent"
            except ConnectionError:
                return received, "reset"
        return received, end


def _send(connection: socket.socket, stream: bytes, random: Random) -> str:
    """At once or in pieces; says how the server took it."""
    cuts = sorted(random.randint(0, len(stream)) for _ in range(random.choice((0, 0, 1, 2, 5, 20))))
    try:
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            connection.sendall(stream[start:end])
            if random.random() < 0.2:
                time.sleep(random.choice((0, 0.001, 0.005)))
    except ConnectionError:
        return "reset"
    return "closed"
