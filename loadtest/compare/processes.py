"""Trees of processes as /proc shows them: who belongs to one, its CPU time, its memory. Linux only."""

import contextlib
import os
import signal
from pathlib import Path

from loadtest.compare.errors import CompareError

TICKS = os.sysconf("SC_CLK_TCK")


def stats() -> dict[int, list[str]]:
    """Every process's fields of /proc/PID/stat after its name (proc_pid_stat(5)), by PID."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            found[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
    return found


def tree(root: int) -> set[int]:
    """`root`, its descendants, and whoever shares a session with one of them; none that has ended."""
    relatives = {pid: (int(fields[1]), int(fields[3])) for pid, fields in stats().items()}
    family = {root}
    while more := {pid for pid, of in relatives.items() if family.intersection(of)} - family:
        family |= more
    return alive(family)


def alive(pids: set[int]) -> set[int]:
    """Those that have not ended."""
    return {pid for pid, fields in stats().items() if pid in pids and fields[0] not in "ZX"}


def send(pids: set[int], number: signal.Signals) -> None:
    """The signal to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def cpu_seconds(pids: set[int]) -> float:
    """User and system time that they have used so far."""
    found = stats()
    return sum(int(found[pid][11]) + int(found[pid][12]) for pid in pids if pid in found) / TICKS


def pss_bytes(pids: set[int]) -> int:
    """Proportional set size: memory that several share counts for each in part."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def cores(pids: set[int]) -> set[int]:
    """The CPUs that any of their threads may run on."""
    found: set[int] = set()
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                found |= os.sched_getaffinity(int(thread.name))
    return found


def require_cores(server: int, load: int) -> None:
    """Raises CompareError where server and load would share a core."""
    if server == load or not {server, load} <= os.sched_getaffinity(0):
        raise CompareError(f"server and wrk need a core each; this process may use {os.sched_getaffinity(0)}")


def cpu_model() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
