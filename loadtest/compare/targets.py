"""What wrk is sent at: a server together with the requests for it."""

from dataclasses import dataclass
from pathlib import Path

from loadtest.compare import wrk
from loadtest.compare.config import CompareSettings
from loadtest.compare.servers import Server
from loadtest.compare.uploads import Upload, write_requests


@dataclass(frozen=True)
class Target:
    """One row of the table."""

    name: str
    server: Server
    requests: Path
    """Folder of complete HTTP requests."""

    def measure(self, concurrency: int, settings: CompareSettings) -> wrk.Sample:
        """One sample after a warm-up; all other servers should be asleep."""
        self.server.resume()
        try:
            if settings.warmup:
                wrk.load(self.server.port, self.requests, concurrency, settings.warmup, settings.load_core)
            return wrk.load(self.server.port, self.requests, concurrency, settings.seconds, settings.load_core)
        finally:
            self.server.pause()


def aim(name: str, server: Server, uploads: list[Upload], folder: Path, path: str | None = None) -> Target:
    """The target of these uploads, their requests written below `folder`."""
    requests = folder / f"requests-{name.replace(' ', '-')}-{server.port}"
    write_requests(requests, uploads, server.port, path or server.peer.path, server.peer.headers)
    return Target(name, server, requests)
