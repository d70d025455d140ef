import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.door import shut

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the filter")


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_what_has_been_begun_can_be_accepted_and_nothing_more_begins(listener: socket.socket) -> None:
    address = listener.getsockname()
    with listener, listener.dup() as shared, socket.create_connection(address) as queued:
        shut(listener)
        with pytest.raises(TimeoutError):
            socket.create_connection(address, timeout=0.3)
        queued.sendall(b"hello")
        accepted, _ = shared.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"
            accepted.sendall(b"and back")
        assert queued.recv(8) == b"and back"


def test_a_client_that_comes_too_late_is_refused_soon_after_the_socket_is_closed(listener: socket.socket) -> None:
    with listener, ThreadPoolExecutor(1) as pool:
        shut(listener)
        late = pool.submit(socket.create_connection, listener.getsockname(), 5)
        time.sleep(0.1)
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            late.result()
