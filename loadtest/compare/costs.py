"""What this service takes of a machine: CPU time a request, CPU time idle, memory, time to start."""

import sys
import time
from dataclasses import replace

from loadtest.compare import processes, uploads
from loadtest.compare.peers import own_service
from loadtest.compare.rows import Row
from loadtest.compare.servers import Server, Stage, running
from loadtest.compare.settings import CompareSettings, Load
from loadtest.compare.targets import aim

STARTS = 5
IDLE_S = 5.0
SETTLE_S = 1.0
"""After a start or a load, so that what is still under way does not count as idle."""


def costs(digits: list[bytes], stage: Stage, settings: CompareSettings) -> list[Row]:
    """All rows, on freshly started services."""
    everywhere = replace(stage, core=None)
    return [*workers_rows(digits, everywhere, settings), *idle_rows(everywhere, settings), start_row(stage, settings)]


def workers_rows(digits: list[bytes], stage: Stage, settings: CompareSettings) -> list[Row]:
    """CPU seconds a request of two workers as multiples of one's; the service may use every core.

    Once with as many connections as the one worker has, which makes its batches twice as large as theirs, and once with
    as many for each of the two.
    """
    sent, most = [uploads.raw(png) for png in digits], settings.most
    one, two = (own_service(settings.server_python, "--workers", str(count)) for count in (1, 2))
    with running(one, None, stage) as single, running(two, None, stage) as double:
        targets = [aim("workers", server, sent, stage.folder) for server in (single, double)]
        for target in targets:
            target.server.pause()
        ratios: dict[str, list[float]] = {f"{most} connections": [], f"{most} connections a worker": []}
        for number in range(settings.rounds):
            loads = [(targets[0], most), (targets[1], most), (targets[1], 2 * most)]
            alone, *together = (
                target.measure(Load("repeated", connections), settings).cpu_us for target, connections in loads
            )
            for values, cost in zip(ratios.values(), together, strict=True):
                values.append(round(cost / alone, 4))
            listed = ", ".join(f"{cost:.1f}" for cost in together)
            print(f"round {number + 1}, CPU µs a request, 1 worker: {alone:.1f}, 2 workers: {listed}", file=sys.stderr)
    return [Row(f"CPU time a request, 2 workers against 1, {how}", "×", 2, tuple(ratios[how])) for how in ratios]


def idle_rows(stage: Stage, settings: CompareSettings) -> list[Row]:
    """CPU time of a service that nobody asks, and memory for each worker of two, the parent's included."""
    with running(own_service(settings.server_python, "--workers", "2"), None, stage) as server:
        idle = 100 * idle_share(server, IDLE_S)
        memory = processes.pss_bytes(server.pids()) / 2 / 1e6
    return [
        Row("idle CPU, 2 workers", "% of a core", 2, (round(idle, 3),)),
        Row("memory (PSS) for each of 2 workers, index and parent process included", "MB", 0, (round(memory, 1),)),
    ]


def idle_share(server: Server, seconds: float) -> float:
    """CPU seconds a second while nothing is asked."""
    time.sleep(SETTLE_S)
    before, started = processes.cpu_seconds(server.pids()), time.monotonic()
    time.sleep(seconds)
    return (processes.cpu_seconds(server.pids()) - before) / (time.monotonic() - started)


def start_row(stage: Stage, settings: CompareSettings) -> Row:
    """From the command to the first 200 of /health/ready, on one core."""
    seconds = []
    for number in range(STARTS):
        with running(own_service(settings.server_python), None, stage) as server:
            seconds.append(round(server.start_s, 3))
            print(f"start {number + 1}: ready after {server.start_s:.2f} s", file=sys.stderr)
    return Row("start to ready, one core", "s", 2, tuple(seconds))
