"""Rows: more requests than the model answers, bad images and clients between good ones, and a model that fails."""

import asyncio
import functools
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from tests.conftest import ROOT
from tests.faults.load import Answered, OpenLoop, p99_s
from tests.faults.probe import Seen
from tests.faults.rows import OTHERS_WAIT_MS, TAKEN_MB, Check, Conditions, Load, Row, beside_a_probe, hostile
from tests.faults.service import PREDICT, Address, ask, connect, post, starts
from tests.faults.stops import REPLACED_S, seconds_until
from tests.pictures.uploads import encoded
from tests.serving.sockets import reset_when_closed, responses

RATE, OFFERED = 200, 600
LONG_S, SHORT_S = 60, 10
HANG_S = 2
TRIGGERS = 20


@functools.cache
def digits() -> list[bytes]:
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        return [encoded(image) for image in arrays["images"]]


def overload(queue: int, conditions: Conditions) -> list[Check]:
    """Three times as many requests as the model answers, whether or not it answers them."""
    with conditions.checkout.serving(fault=f"slow {RATE}", max_queue_size=queue) as service:
        address = service.address()
        seconds = LONG_S if conditions.whole else SHORT_S
        answers: list[Answered] = []
        load = OpenLoop(address, [PREDICT], OFFERED, lambda _, answer: answers.append(answer))
        asyncio.run(load.run(seconds))
        after = seconds_until(partial(is_quick, address))
    good, refused = [one for one in answers if one.status == 200], [one for one in answers if one.busy]
    others = OFFERED * seconds - len(good) - len(refused)
    return [
        Check("neither 200 nor 503 with Retry-After", others, 0),
        Check("503, p99", 1000 * p99_s(refused), OTHERS_WAIT_MS, "ms"),
        Check("200, p99", p99_s(good), queue / RATE + 0.1, "s"),
        Check("quick again after", after, 1, "s"),
    ]


def is_quick(address: Address) -> bool:
    started = time.monotonic()
    status, _ = ask(address)
    return status == 200 and time.monotonic() - started < 0.02


async def garbage_among_others(address: Address, rounds: int = 1000) -> int:
    """Rounds of 16 images at once, one of them garbage; how many answers were wrong."""
    images, chance, wrong = digits(), random.Random(0), 0
    expected = {content: await asyncio.to_thread(ask, address, post(content)) for content in images[:64]}
    pairs = [await asyncio.open_connection(*address) for _ in range(16)]
    for _ in range(rounds):
        contents = chance.sample(images[:64], 16)
        contents[chance.randrange(16)] = chance.randbytes(300)
        for (_, writer), content in zip(pairs, contents, strict=True):
            writer.write(post(content))
        for (reader, _), content in zip(pairs, contents, strict=True):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answer = int(head[9:12]), await reader.readexactly(length)
            wrong += not same(answer, expected[content]) if content in expected else answer[0] != 415
    for _, writer in pairs:
        writer.close()
    return wrong


def same(one: tuple[int, bytes], other: tuple[int, bytes]) -> bool:
    """Whether status and label agree: other figures vary in their last bit with the size of the batch."""
    return one[0] == other[0] and one[1].split(b",")[0] == other[1].split(b",")[0]


async def leave(address: Address) -> int:
    """32 clients, each fifth of whose requests is left before its answer, or half sent; answers that others lack."""
    content, stop = digits()[1], time.monotonic() + 5
    expected = await asyncio.to_thread(ask, address, post(content))

    async def client(seed: int) -> int:
        chance, missing = random.Random(seed), 0
        while time.monotonic() < stop:
            if chance.random() < 0.2:
                await asyncio.sleep(0)
                with suppress(OSError), connect(address) as connection:
                    reset_when_closed(connection)
                    connection.sendall(post(content)[: chance.choice([None, -1, 200])])
                continue
            reader, writer = await asyncio.open_connection(*address)
            writer.write(post(content, "/predict", "Connection: close"))
            answer = await reader.read()
            missing += not same((int(answer[9:12] or b"0"), answer.partition(b"\r\n\r\n")[2]), expected)
            writer.close()
        return missing

    return sum(await asyncio.gather(*map(client, range(32))))


def fails(fault: str, conditions: Conditions) -> list[Check]:
    """A model that fails with some batches: those, and no others."""
    trigger = digits()[1]

    def load(address: Address) -> float:
        longest = 0.0
        for _ in range(TRIGGERS):
            started = time.monotonic()
            with suppress(OSError):
                if ask(address, post(trigger), 10)[0] == 500:
                    longest = max(longest, time.monotonic() - started)
                    continue
            return float("inf")
        return 1000 * longest

    with conditions.checkout.serving(fault=fault) as service:
        seen = beside_a_probe(service, load)
    return [
        Check("answered with 500 after", seen.result, OTHERS_WAIT_MS, "ms"),
        Check("others failed, of those that shared a batch", seen.failures, TRIGGERS),
        Check("live, longest", seen.longest_ms("live"), OTHERS_WAIT_MS, "ms"),
    ]


def hangs(conditions: Conditions) -> list[Check]:
    """The model of one of two workers hangs: its callers are told, and the worker is replaced."""
    serving = conditions.checkout.serving
    with serving(fault="hang", workers=2, request_timeout_s=1, hang_timeout_s=HANG_S) as service:
        before, started = starts(service), time.monotonic()
        with connect(service.address(), 10) as connection:
            connection.sendall(post(digits()[1]))
            status = responses(connection, 1)[0][0].split()[1]
        told_s = time.monotonic() - started
        replaced_s = told_s + seconds_until(lambda: starts(service) > before)
        time.sleep(1.5)
        failed = sum(ask(service.address())[0] != 200 for _ in range(20)) if replaced_s < float("inf") else 20
    return [
        Check("answered with 504 after", told_s if status == "504" else float("inf"), 1.5, "s"),
        Check("worker replaced after", replaced_s, HANG_S + REPLACED_S, "s"),
        Check("20 later requests: failed", failed, 0),
    ]


def missing(what: str, seen: Seen) -> list[Check]:
    return [Check(what, seen.result, 0)]


def running(load: Callable[[Address], Coroutine[Any, Any, int]]) -> Load:
    digits()  # made before anything is measured
    return lambda address: asyncio.run(load(address))


MODELS: dict[str, Row] = {
    "600 requests/s for a model of 200, queue of 512": partial(overload, 512),
    "600 requests/s for a model of 200, queue of 1,024": partial(overload, 1024),
    "one garbage image among 16, 1,000 rounds": hostile(
        partial(running, garbage_among_others), partial(missing, "wrong answers")
    ),
    "32 clients, a fifth leaves mid-request": hostile(
        partial(running, leave), partial(missing, "answers missing or wrong"), taken_mb=TAKEN_MB
    ),
    "the model raises": partial(fails, "raise"),
    "the model raises SystemExit": partial(fails, "exit"),
    "the model returns the wrong count": partial(fails, "count"),
    "the model hangs, 2 workers": hangs,
}
