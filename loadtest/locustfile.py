"""What one user does: posts digit after digit and checks every answer. Run by Locust.

`EXPECTED` names a JSON list with the digit that the unloaded service answers to each payload: under load it must
answer the same, or some answer went to the wrong caller. Without it, as on Locust's own page, digits are not compared.
"""

import json
import os
import random
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task
from locust.env import Environment

from loadtest.payloads import load_digits

HEADERS = {"Content-Type": "image/png"}
PAYLOADS, _ = load_digits()
EXPECTED: list[int] | None = json.loads(Path(os.environ["EXPECTED"]).read_text()) if "EXPECTED" in os.environ else None
RATE = float(os.environ.get("RATE", "0"))
"""Requests a second and user; 0 sends the next one as soon as the last is answered (closed loop)."""


class DigitUser(FastHttpUser):
    """Posts distinct real digits to /predict, starting at a random one."""

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
        digit, probabilities = answer["digit"], answer["probabilities"]
        sound = abs(sum(probabilities) - 1) < 1e-3 and probabilities[digit] == max(probabilities)
    except (ValueError, KeyError, TypeError, IndexError):
        return "not the JSON of a prediction"
    if not sound:
        return "probabilities that do not add up or do not belong to the digit"
    if EXPECTED is not None and digit != EXPECTED[number]:
        return "another digit than the unloaded service answers"
    return None


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
        **{f"p{share}_ms": total.get_response_time_percentile(share / 100) for share in (50, 95, 99)},
        "max_ms": round(total.max_response_time, 1),
        "errors": [f"{error.occurrences} × {error.error}" for error in environment.stats.errors.values()],
    }
    Path(os.environ["SUMMARY"]).write_text(json.dumps(figures))
