"""How an image is written into a request: each server's own way. Knows nothing about sockets."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BOUNDARY = "fewlabel-boundary-7c1f0000"
"""wrk.lua puts another number into its last eight digits each time."""


@dataclass(frozen=True)
class Upload:
    """What is posted."""

    content_type: str
    body: bytes


def raw(png: bytes) -> Upload:
    """The file is the body."""
    return Upload("image/png", png)


def multipart(png: bytes) -> Upload:
    """The file is the form's field `file`."""
    return form("file", [png])


def form(field: str, files: list[bytes]) -> Upload:
    """A form with one file or several under the same name."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="digit.png"\r\n'
    start = f"{head}Content-Type: image/png\r\n\r\n".encode()
    parts = b"".join(start + file + b"\r\n" for file in files)
    return Upload(f"multipart/form-data; boundary={BOUNDARY}", parts + f"--{BOUNDARY}--\r\n".encode())


def v2_base64(png: bytes) -> Upload:
    """The Open Inference Protocol's JSON, the file as one base64 string."""
    parameters = {"content_type": "base64"}
    data = [base64.b64encode(png).decode()]
    image = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "parameters": parameters, "data": data}
    return Upload("application/json", json.dumps({"inputs": [image]}).encode())


def octets(png: bytes) -> Upload:
    """The file is the body, of no declared kind."""
    return Upload("application/octet-stream", png)


ENCODERS: dict[str, Callable[[bytes], Upload]] = {
    "raw": raw,
    "octets": octets,
    "multipart": multipart,
    "v2-base64": v2_base64,
}


def write_requests(folder: Path, uploads: list[Upload], port: int, path: str, headers: dict[str, str]) -> None:
    """One complete HTTP request a file, numbered from 0, for wrk to send as it is."""
    folder.mkdir(parents=True)
    for number, upload in enumerate(uploads):
        (folder / str(number)).write_bytes(http_request(upload, port, path, headers))


def http_request(upload: Upload, port: int, path: str, headers: dict[str, str]) -> bytes:
    """The bytes on the wire."""
    lines = {"Host": f"127.0.0.1:{port}", "Content-Type": upload.content_type, **headers}
    lines["Content-Length"] = str(len(upload.body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + upload.body
