"""Clients that do not read their answers."""

import asyncio
import socket
import threading
from contextlib import suppress

import pytest

from serving.http.front import Front
from tests.serving.sockets import connect, serving

SEVERAL_KB = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the server has let a connection go.

    A client whose window is closed learns of it when its TCP next asks, which may be many seconds later.
    """
    event, lose = threading.Event(), Front.connection_lost

    def note(self: Front, exc: Exception | None) -> None:
        lose(self, exc)
        event.set()

    monkeypatch.setattr(Front, "connection_lost", note)
    return event


def test_a_client_that_never_reads_is_let_go(lost: threading.Event) -> None:
    with serving(client_timeout_s=1) as port, connect(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1)
        with suppress(OSError):
            connection.sendall(SEVERAL_KB * 1_000_000)
        assert lost.wait(9)


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"])
def test_so_is_one_that_leaves_little(monkeypatch: pytest.MonkeyPatch, lost: threading.Event, last: bytes) -> None:
    """Too little for asyncio to tell that the client reads too slowly."""
    made = Front.connection_made

    def made_small(self: Front, transport: asyncio.Transport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made(self, transport)

    monkeypatch.setattr(Front, "connection_made", made_small)
    with serving(client_timeout_s=0.5) as port, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(SEVERAL_KB[:-2] + last + b"\r\n")
        assert lost.wait(4)
