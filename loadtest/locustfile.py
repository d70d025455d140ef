"""What one user does: posts image after image and checks every answer. Run by Locust.

`LOADTEST_PLAN` names a JSON file with the images' paths (null for the digits of examples/) and the label that the
unloaded service answers to each: under load it must answer the same, or some answer went to the wrong caller. Without
it, as on Locust's own page, labels are not compared, and `LOADTEST_IMAGES` may name a folder of image files.
"""

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task
from locust.env import Environment

from loadtest.files import draw
from loadtest.payloads import load_digits
from loadtest.settings import headers

HEADERS = headers()
PLAN: dict[str, Any] | None = None
if "LOADTEST_PLAN" in os.environ:
    PLAN = json.loads(Path(os.environ["LOADTEST_PLAN"]).read_text())


def images() -> list[bytes]:
    """What is posted."""
    folder = os.environ.get("LOADTEST_IMAGES")
    paths = PLAN["paths"] if PLAN else draw(Path(folder)).paths if folder else None
    return load_digits()[0] if paths is None else [Path(path).read_bytes() for path in paths]


EXPECTED: list[str] | None = PLAN["labels"] if PLAN else None
PAYLOADS = images()
RATE = float(os.environ.get("RATE", "0"))
"""Requests a second and user; 0 sends the next one as soon as the last is answered (closed loop)."""


times: Counter[float] = Counter()
"""How many requests took so many milliseconds, to a tenth: Locust's own percentiles below 100 ms are whole ones, so
that those of a fast service would be 0."""


class ImageUser(FastHttpUser):
    """Posts the images to /predict in turn, starting at a random one."""

    wait_time = constant_throughput(RATE) if RATE else lambda _: 0

    def on_start(self) -> None:
        self._next = random.randrange(len(PAYLOADS))  # noqa: S311 (no secret)

    @task
    def predict(self) -> None:
        number = self._next
        self._next = (number + 1) % len(PAYLOADS)
        body: Any = PAYLOADS[number]  # the annotation there forgets bytes
        with self.client.post("/predict", data=body, headers=HEADERS, catch_response=True) as response:
            mistake = check(response.status_code, response.content, number)
            if mistake:
                response.failure(mistake)


def check(status: int, content: bytes | None, number: int) -> str | None:
    """What is wrong with the answer to payload `number`; None when nothing is."""
    if status != 200:
        return f"status {status}"
    try:
        answer: dict[str, Any] = json.loads(content or b"")
        label, probabilities = answer["label"], answer["probabilities"]
        sound = abs(sum(probabilities) - 1) < 1e-3 and answer["confidence"] == max(probabilities)
    except (ValueError, KeyError, TypeError):
        return "not the JSON of a prediction"
    if not sound:
        return "probabilities that do not add up, or a confidence that is not their largest"
    if EXPECTED is not None and label != EXPECTED[number]:
        return "another label than the unloaded service answers"
    return None


@events.request.add_listener  # type: ignore[untyped-decorator]
def note(response_time: float, **_: object) -> None:
    """Counts one request."""
    times[round(response_time, 1)] += 1


@events.report_to_master.add_listener  # type: ignore[untyped-decorator]
def hand_over(data: dict[str, Any], **_: object) -> None:
    """Sends the master what this worker has counted since it last did."""
    data["times"] = list(times.items())
    times.clear()


@events.worker_report.add_listener  # type: ignore[untyped-decorator]
def add(data: dict[str, Any], **_: object) -> None:
    """Adds what a worker has counted."""
    times.update(dict(data["times"]))


@events.spawning_complete.add_listener  # type: ignore[untyped-decorator]
def forget(**_: object) -> None:
    """Starts to count again when Locust does, as soon as all users are there."""
    times.clear()


def percentile(share: float) -> float:
    """Milliseconds that this share of the requests took at most; 0 without any."""
    left = share * times.total()
    for milliseconds, count in sorted(times.items()):
        left -= count
        if left <= 0:
            return milliseconds
    return 0.0


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def decide(environment: Environment, **_: object) -> None:
    """Writes `SUMMARY`, the figures that the run is judged by."""
    if "SUMMARY" not in os.environ or environment.runner is None or environment.parsed_options is None:
        return
    if "WorkerRunner" in type(environment.runner).__name__:
        return
    total = environment.stats.total
    figures = {
        "requests": total.num_requests,
        "failures": total.num_failures,
        "failure_ratio": total.fail_ratio,
        "requests_per_second": round(total.total_rps, 1),
        **{f"p{share}_ms": percentile(share / 100) for share in (50, 95, 99)},
        "max_ms": round(total.max_response_time, 1),
        "errors": [f"{error.occurrences} × {error.error}" for error in environment.stats.errors.values()],
    }
    Path(os.environ["SUMMARY"]).write_text(json.dumps(figures))
