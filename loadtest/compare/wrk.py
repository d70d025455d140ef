"""One measurement by wrk (https://github.com/wg/wrk). Knows nothing about what it loads."""

import json
import secrets
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtest.compare.errors import CompareError
from loadtest.compare.settings import Load

SCRIPT = Path(__file__).parent / "wrk.lua"


@dataclass(frozen=True)
class Sample:
    """What wrk saw in one measurement."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    bad_status: int
    """Answers with a status of 400 or above."""
    socket_errors: int
    """Connections refused, broken off or timed out."""
    cpu_s: float = 0.0
    """CPU time of all the server's processes meanwhile, seconds."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time a request, microseconds."""
        return 1e6 * self.cpu_s / self.requests

    @property
    def fault(self) -> str | None:
        """Why the sample counts for nothing; None when it counts."""
        if self.bad_status or self.socket_errors:
            return f"{self.bad_status} bad answers, {self.socket_errors} socket errors"
        return None if self.requests else "no answer"

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the rate and the fault."""
        return {**asdict(self), "rate": round(self.rate, 1), "fault": self.fault}


def require_wrk() -> str:
    """wrk's version; a clear error where it is missing."""
    if shutil.which("wrk") is None:
        raise CompareError("wrk is missing: apt-get install wrk")
    printed = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    return " ".join(printed.split()[:2])


def run_wrk(port: int, requests: Path, load: Load, seconds: int, core: int) -> Sample:
    """Posts the folder's requests in turn over the load's connections for a while."""
    count = sum(1 for _ in requests.iterdir())
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", str(requests), str(count)]
    command += [load.heads, str(secrets.randbits(31))]  # another seed: no head of the warm-up comes again
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode:  # nobody listens: the server has ended, which is its fault alone
        return Sample(0, seconds, 0.0, 0.0, 0.0, bad_status=0, socket_errors=load.connections)
    return parse(done.stdout)


def parse(printed: str) -> Sample:
    """The figures in the last line that wrk.lua printed."""
    return Sample(**json.loads(printed.strip().splitlines()[-1]))
