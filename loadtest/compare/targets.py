"""What wrk is sent at: a server together with the requests for it."""

from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.compare import processes
from loadtest.compare.servers import Server
from loadtest.compare.settings import Load, MeasureSettings
from loadtest.compare.uploads import Upload, write_requests
from loadtest.compare.wrk import Sample, run_wrk


@dataclass(frozen=True)
class Target:
    """One row of the table."""

    name: str
    server: Server
    requests: Path
    """Folder of complete HTTP requests."""

    def measure(self, load: Load, settings: MeasureSettings) -> Sample:
        """One sample after a warm-up; all other servers should be asleep."""
        server = self.server
        server.resume()
        try:
            if settings.warmup:
                run_wrk(server.port, self.requests, load, settings.warmup, settings.load_core)
            before = processes.cpu_seconds(server.pids())
            sample = run_wrk(server.port, self.requests, load, settings.seconds, settings.load_core)
            return replace(sample, cpu_s=round(processes.cpu_seconds(server.pids()) - before, 2))
        finally:
            server.pause()


def aim(name: str, server: Server, uploads: list[Upload], folder: Path, path: str | None = None) -> Target:
    """The target of these uploads, their requests written below `folder`."""
    requests = folder / f"requests-{name.replace(' ', '-')}-{server.port}"
    write_requests(requests, uploads, server.port, path or server.peer.path, server.peer.headers)
    return Target(name, server, requests)
