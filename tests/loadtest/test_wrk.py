"""What wrk really sends, as a server sees it."""

import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loadtest.compare.settings import Heads, Load
from loadtest.compare.uploads import multipart, raw, write_requests
from loadtest.compare.wrk import run_wrk

pytestmark = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")

FORMATS = {
    "X-Request-ID": r"[0-9a-f]{32}",
    "traceparent": r"00-[0-9a-f]{32}-[0-9a-f]{16}-01",
    "X-Forwarded-For": r"\d+(\.\d+){3}",
    "X-Forwarded-Proto": "https",
    "User-Agent": r"[A-Za-z].+\d+.*",
    "Cookie": r"session=[0-9a-f]{32}; theme=dark",
}
DISTINCT = ("X-Request-ID", "traceparent", "Cookie")


class Recorder(BaseHTTPRequestHandler):
    """Keeps heads and bodies."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(length := int(self.headers["Content-Length"]))
        if len(body) < length:
            return
        self.seen.append((dict(self.headers), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Says nothing about requests that wrk breaks off when its time is over."""

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[Server]:
    Recorder.seen = []
    with Server(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sent(recorder: Server, folder: Path, heads: Heads) -> list[tuple[dict[str, str], bytes]]:
    """Heads and bodies of one second."""
    Recorder.seen = []
    sample = run_wrk(recorder.server_port, folder, Load(heads, 4), 1, 0)
    assert sample.requests > 10
    assert sample.fault is None
    return list(Recorder.seen)  # a request that wrk has broken off may still come


def test_ingress_heads_never_come_twice(recorder: Server, tmp_path: Path) -> None:
    write_requests(
        tmp_path / "requests", [raw(b"one"), raw(b"three")], recorder.server_port, "/predict", {"X-Extra": "1"}
    )
    both = [*sent(recorder, tmp_path / "requests", "ingress"), *sent(recorder, tmp_path / "requests", "ingress")]
    for heads, body in both:
        assert list(heads) == [*FORMATS, "Host", "Content-Type", "X-Extra", "Content-Length"]
        assert all(re.fullmatch(form, heads[name]) for name, form in FORMATS.items()), heads
        assert body in (b"one", b"three")
    for name in DISTINCT:
        assert len({heads[name] for heads, _ in both}) == len(both), name
    assert len({heads["X-Forwarded-For"] for heads, _ in both}) > len(both) / 2
    assert len({heads["User-Agent"] for heads, _ in both}) > len(both) / 2


def test_heads_that_repeat_are_sent_as_written(recorder: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "requests", [raw(b"one")], recorder.server_port, "/predict", {})
    assert {tuple(heads) for heads, _ in sent(recorder, tmp_path / "requests", "repeated")} == {
        ("Host", "Content-Type", "Content-Length")
    }


@pytest.mark.parametrize("heads", ["repeated", "ingress"])
def test_every_form_has_a_boundary_of_its_own(recorder: Server, tmp_path: Path, heads: Heads) -> None:
    write_requests(tmp_path / "requests", [multipart(b"one")], recorder.server_port, "/predict", {})
    forms = sent(recorder, tmp_path / "requests", heads)
    boundaries = [head["Content-Type"].partition("boundary=")[2] for head, _ in forms]
    assert len(set(boundaries)) == len(forms)
    assert all(
        body.endswith(f"--{boundary}--\r\n".encode()) for boundary, (_, body) in zip(boundaries, forms, strict=True)
    )
