"""What keeps the service from starting is one line and exit code 1."""

import shutil
import socket
from pathlib import Path

import pytest

from tests.conftest import BUNDLE
from tests.e2e.test_service import failure


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_taken_port_is_one_line(count: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = failure("--port", str(port), "--workers", count)
    assert message == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_foreign_address_is_one_line() -> None:
    message = failure("--host", "203.0.113.1", "--port", "0")
    assert message == "cannot listen on 203.0.113.1:0: Cannot assign requested address\n"


def test_a_kind_of_input_that_nothing_makes_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(BUNDLE, tmp_path, dirs_exist_ok=True)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"kind": "digit"', '"kind": "sound"'))
    assert (
        "input of the kind 'sound' is unknown" in failure("--model-dir", str(tmp_path), "--port", "0").splitlines()[-1]
    )


@pytest.mark.parametrize("file", ["manifest.json", "model.onnx", "index.npz"])
@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "folder"])
def test_a_damaged_bundle_is_one_line(tmp_path: Path, file: str, damage: str) -> None:
    shutil.copytree(BUNDLE, tmp_path, dirs_exist_ok=True)
    path, content = tmp_path / file, (BUNDLE / file).read_bytes()
    middle = len(content) // 2
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(content[:middle] + (b"\0" + content[middle + 1 :] if damage == "changed" else b""))
    (line,) = failure("--model-dir", str(tmp_path), "--port", "0").splitlines()
    assert line.startswith(f"{path}: ")
