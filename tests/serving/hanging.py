"""`python -m tests.serving.hanging WORKERS FILE`: a service on the fake model, which hangs once when it finds FILE."""

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving import logs
from serving.app import create_app
from serving.http import server
from serving.metrics import share_between_workers
from serving.model import Prediction
from serving.settings import Settings
from serving.workers import Workers
from tests.serving.fakes import FakeModel, fake_index

REQUEST_TIMEOUT_S = 0.5
HANG_TIMEOUT_S = 1.5
FILE = "HANGS_WHERE"


class HangingModel(FakeModel):
    def run_batch(self, images: NDArray[np.uint8]) -> list[Prediction]:
        try:
            Path(os.environ[FILE]).unlink()
        except FileNotFoundError:
            return super().run_batch(images)
        time.sleep(3600)
        raise AssertionError


async def block() -> None:
    """Keeps the event loop from its next turn."""
    time.sleep(3600)


def work(listener: socket.socket, on_ready: Callable[[], None] = lambda: None) -> None:
    logs.start("human")
    settings = Settings(request_timeout_s=REQUEST_TIMEOUT_S, hang_timeout_s=HANG_TIMEOUT_S)
    app = create_app(settings, HangingModel(), fake_index())
    app.add_api_route("/block", block)
    server.serve(app, settings, listener, on_ready)


def main(count: int) -> None:
    listener = server.bind("127.0.0.1", 0)
    if count == 1:
        work(listener)
    else:
        with share_between_workers():
            Workers(work, listener, count, stop_timeout_s=10).run()


if __name__ == "__main__":
    os.environ[FILE] = sys.argv[2]
    main(int(sys.argv[1]))
