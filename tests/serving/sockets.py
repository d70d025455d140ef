"""A real server and plain sockets: requests as the network brings them."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from serving.app import create_app
from serving.http.front import Front
from serving.index.memory import NeighborIndex
from serving.settings import Settings
from tests.serving.fakes import LIMIT, FakeModel, fake_index


@contextmanager
def serving(
    model: FakeModel | None = None, app: FastAPI | None = None, index: NeighborIndex | None = None, **limits: Any
) -> Iterator[int]:
    """A real server of `app`, or on the fake model with these settings; gives its port."""
    settings = Settings(**{"max_upload_bytes": LIMIT, "request_timeout_s": 5, **limits})
    app = app or create_app(settings, model, index or fake_index())
    config = uvicorn.Config(app, port=0, http=Front, proxy_headers=False, ws="none", log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=30)
    assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def reset_when_closed(connection: socket.socket) -> None:
    """Its end is then no half-close, which a client that still waits for its answer may send."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def request(body: bytes, *headers: str, url: str = "/predict", version: str = "1.1") -> bytes:
    lines = [f"POST {url} HTTP/{version}", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def responses(connection: socket.socket, count: int) -> list[tuple[str, dict[str, str], bytes]]:
    """So many answers from one connection: status line, headers in lower case, body."""
    found, file = [], connection.makefile("rb")
    for _ in range(count):
        status = file.readline().decode().strip()
        headers = {}
        while line := file.readline().decode("latin-1").strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        found.append((status, headers, file.read(int(headers["content-length"]))))
    return found
