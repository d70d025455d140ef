"""Rows: what one upload holds, and how many come at once."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from tests.faults import files
from tests.faults.files import FORM, MB
from tests.faults.probe import Seen
from tests.faults.rows import KEPT_MB, Check, Conditions, Load, Row, hostile
from tests.faults.service import DOORS, LIVE, Address, ask, connect, post
from tests.serving.sockets import reset_when_closed, responses

ANSWERED_S = 3
"""What is dear may take so long."""
LOOP_MS = 5
"""How long one small upload may hold the event loop."""
ROUNDS = 9
WORST = 10
ATTACK_S = 12
BODIES_MB = 256
CONNECTION_MB = 0.6
"""What may have been read of a body besides, on each connection: twice 64 kB and a read of 256 kB."""
DECODERS = os.cpu_count() or 1
DECODING_MB = 500
"""What each of them may take for 25 megapixels: 20 bytes each (serving/decoder_child.py)."""


def upload(content: bytes, target: str = "/predict", *headers: str, times: int = 1) -> Load:
    """Uploads it at so many connections; returns the longest time to an answer in s, its status and its bytes."""
    request = post(content, target, *headers)

    def run(address: Address) -> tuple[float, int, int]:
        started = time.monotonic()
        try:
            status, body = ask(address, request)
        except (OSError, ValueError, IndexError):
            return float("inf"), 0, 0
        return time.monotonic() - started, status, len(body)

    def load(address: Address) -> tuple[float, int, int]:
        with ThreadPoolExecutor(times) as pool:
            return max(pool.map(run, [address] * times))

    return load


def answered(seen: Seen, bound_s: float = ANSWERED_S) -> list[Check]:
    return [Check("answered after", seen.result[0], bound_s, "s")]


def refused_briefly(seen: Seen) -> list[Check]:
    seconds, _, size = seen.result
    return [Check("answered after", seconds, ANSWERED_S, "s"), Check("size of the answer", size / 1000, 10, "kB")]


def waits_beside(address: Address, content: bytes) -> float:
    """Milliseconds that /health/live, sent right behind the upload, takes to be answered."""
    with connect(address) as hostile_connection, connect(address) as other:
        other.sendall(LIVE)
        responses(other, 1)
        hostile_connection.sendall(post(content))
        started = time.monotonic()
        other.sendall(LIVE)
        responses(other, 1)
        waited = time.monotonic() - started
        with suppress(OSError, ValueError, IndexError):
            responses(hostile_connection, 1)
        return 1000 * waited


def holds_the_loop(contents: Callable[[], Iterable[bytes]]) -> Row:
    """How long each of these uploads holds the loop: the median of some rounds, of the worst of them."""

    def row(conditions: Conditions) -> list[Check]:
        with conditions.checkout.serving() as service:
            address = service.address()
            quiet = statistics.median(waits_beside(address, files.photo()[:1000]) for _ in range(ROUNDS))
            every = sorted(contents(), key=partial(waits_beside, address))[-WORST:]
            medians = [statistics.median(waits_beside(address, one) for _ in range(ROUNDS)) for one in every]
        return [Check("live beside it, median of the worst file", max(medians), LOOP_MS + quiet, "ms")]

    return row


def batches_of_run_lengths(batch: bytes, photo: bytes, address: Address) -> float:
    """18 batches at once, and a photo every half second; the longest time to a photo's answer, in s."""
    longest = 0.0
    connections = [connect(address) for _ in range(18)]
    for connection in connections:
        reset_when_closed(connection)
        connection.sendall(batch)
    deadline = time.monotonic() + ATTACK_S
    while (started := time.monotonic()) < deadline:
        try:
            status, _ = ask(address, photo)
        except (OSError, ValueError, IndexError):
            status = 0
        longest = max(longest, time.monotonic() - started if status == 200 else float("inf"))
        time.sleep(0.5)
    for connection in connections:
        connection.close()
    return longest


def large_bodies(whole: bytes, address: Address) -> int:
    """100 uploads whose last byte comes when all others have arrived; how many get no answer."""
    arrived = threading.Barrier(100, timeout=30)

    def run(_: int) -> int:
        with suppress(OSError, ValueError, IndexError), connect(address) as connection:
            try:
                with suppress(ConnectionError):
                    connection.sendall(memoryview(whole)[:-1])
            finally:
                with suppress(threading.BrokenBarrierError):
                    arrived.wait()
            with suppress(ConnectionError):
                connection.sendall(whole[-1:])
            return int(responses(connection, 1)[0][0].split()[1])
        return 0

    with ThreadPoolExecutor(100) as pool:
        return list(pool.map(run, range(100))).count(0)


def batches() -> Load:
    batch = post(files.form([files.run_length_bmp()] * 64), "/predict/batch", FORM)
    return partial(batches_of_run_lengths, batch, post(files.photo()))


def bodies() -> Load:
    return partial(large_bodies, post(b"\x89PNG\r\n\x1a\n".ljust(10 * MB, b"\0"), DOORS[1]))


def form_of(parameters: bytes) -> Load:
    return upload(files.disposition(parameters), DOORS[0], FORM)


UPLOADS: dict[str, Row] = {
    "PNG of 28×28, 9.7 MB, inflates to 10 GB": hostile(lambda: upload(files.bomb(10_000 * MB)), answered),
    "PNG of 28×28, 60 kB, inflates to 60 MB, 8 at once": hostile(
        lambda: upload(files.bomb(60 * MB), times=8), answered
    ),
    "PNG of 16 kB, iCCP, zTXt or iTXt of 15 MB": holds_the_loop(files.small_bombs),
    "120 damaged files of up to 16 kB": holds_the_loop(files.damaged),
    "18 batches of 64 run-length BMP, 1,082 bytes and 25 megapixels each": hostile(
        batches, lambda seen: [Check("photo of 12 megapixels, longest", seen.result, ANSWERED_S, "s")], p99_ms=20
    ),
    "JPEG of 990 scans": hostile(lambda: upload(files.jpeg_of_scans(990)), answered),
    "PNG, EXIF of 60,000 tags": hostile(lambda: upload(files.png_of_tags(60_000)), answered),
    "WebP of 28 bytes and 25 megapixels, 8 at once": hostile(
        lambda: upload(files.flat_webp(), times=8),
        partial(answered, bound_s=10),
        taken_mb=DECODERS * DECODING_MB,
        kept_mb=(1 + DECODERS) * KEPT_MB,
    ),
    "100 uploads of 10 MB at once": hostile(
        bodies, lambda seen: [Check("not answered", seen.result, 0)], taken_mb=BODIES_MB + 100 * CONNECTION_MB
    ),
    "form: 10 MB of `;a=b`": hostile(lambda: form_of(b'name="file"' + b";a=b" * 2_450_000), refused_briefly),
    "form: a field name of 10 MB": hostile(lambda: form_of(b'name="%b"' % (b"n" * 9_800_000)), refused_briefly),
}
