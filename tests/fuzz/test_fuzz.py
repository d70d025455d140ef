"""The fuzzers' short form, and whether they would notice what they look for; the long form is `make fuzz`."""

import base64
import io
import json
import zlib
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.fuzz import client, memory, multipart, mutations, originals, responses, streams
from tests.fuzz.__main__ import PARTS, Settings
from tests.fuzz.findings import Findings
from tests.fuzz.uploads import Uploads
from tests.http.exchange import Answer
from tests.pictures.uploads import encoded
from tests.servers import running_service


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_found(part: str, tmp_path: Path) -> None:
    settings = Settings(uploads=1_500, streams=1_500, forms=5_000, examples=15, workers=1)
    findings = Findings(part, tmp_path)
    found = PARTS[part](settings, findings)
    assert found["cases"] > 0
    assert not found["findings"], [path.read_text() for path in tmp_path.glob("*.jsonl")]


def test_a_case_depends_on_its_number_alone() -> None:
    files = originals.originals(0)
    first, again = ([mutations.mutated(file, files, Random(n)) for n, file in enumerate(files)] for _ in range(2))
    assert first == again
    changed = [damaged != file for damaged, file in zip(first, files, strict=True)]
    assert sum(changed) > 0.9 * len(files)


def test_the_originals_are_whole_and_of_all_formats() -> None:
    kinds = set()
    for content in originals.originals(0):
        image = Image.open(io.BytesIO(content))
        image.load()
        kinds.add(image.format)
    assert kinds == {"PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"}


def test_chunks_of_a_mutated_png_have_the_right_checksums() -> None:
    content = originals.plain_files(1)[0]
    assert mutations.png_of(mutations.chunks_of(content)) == content
    for number in range(200):
        damaged = mutations.mutated_png(content, Random(number))
        at = len(mutations.PNG_SIGNATURE)
        while at < len(damaged):
            end = at + 8 + int.from_bytes(damaged[at : at + 4], "big")
            assert zlib.crc32(damaged[at + 4 : end]) == int.from_bytes(damaged[end : end + 4], "big")
            at = end + 4


PROBLEM = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("received", "statuses", "complaint"),
    [
        (b"", [], ""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + PROBLEM + CHUNKED + PROBLEM, [100, 400, 200, 400], ""),
        (PROBLEM[:-1], [400], "cut off"),
        (CHUNKED[:-2], [200], "cut off"),
        (PROBLEM[:30], [], "half a head"),
        (PROBLEM + b"junk" + PROBLEM, [400], "no head"),
        (b"HTTP/1.1 200 OK\r\nno field\r\n\r\n", [], "no head"),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", [200], "no length"),
    ],
)
def test_responses_are_read_strictly(received: bytes, statuses: list[int], complaint: str) -> None:
    found, said = responses.parse(received, heads=False)
    assert found == statuses
    assert complaint in said
    assert bool(said) == bool(complaint)


def test_responses_to_head_have_no_body() -> None:
    assert responses.parse(PROBLEM[:-2] + PROBLEM[:-2], heads=True) == ([400, 400], "")


class Liar(client.Client):
    """Answers by itself: what it is told to, at every target."""

    def __init__(self, status: int, fields: Any) -> None:
        self.answer = Answer(status, {}, json.dumps(fields).encode())

    def ask(self, target: str, body: bytes) -> Answer:
        return self.answer


def complaints(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*.jsonl"))


def test_wrong_answers_are_noticed(tmp_path: Path) -> None:
    """A service that answers every upload with one and the same prediction, or with 500."""
    other = encoded(np.full((28, 28), 7, np.uint8))
    fields = {
        "label": "7",
        "results": [{}, {"label": "7"}, {}],
        "seen": "data:image/png;base64," + base64.b64encode(other).decode(),
    }
    uploads = Uploads(0, Findings("uploads", tmp_path))
    uploads.learn(Liar(200, {"label": "1"}))
    for number in range(400):
        uploads.run(number, Liar(200, fields))
    found = complaints(tmp_path)
    for words in (
        "where alone it is",
        "clean digit in a batch",
        "other pixels than Pillow's",
        "where Pillow decodes none",
    ):
        assert words in found
    uploads.run(1_000, Liar(500, {}))
    assert "500: " in complaints(tmp_path)


def test_a_silent_server_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that stays open, since the service waits longer than the fuzzer does."""
    monkeypatch.setattr(streams, "CLOSE_S", 0.1)
    with running_service() as service:
        one = streams.Streams(0, service.address(), Findings("streams", tmp_path))
        received, end = one._exchange(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n", "stay", Random(0))
    assert responses.parse(received, heads=False) == ([200], "")
    assert end == "silent"


def test_bugs_in_the_splitter_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(body: bytes) -> list[bytes]:
        if body.startswith(b"--b\r\n"):
            raise IndexError
        return [b"another upload"]

    monkeypatch.setattr(multipart, "many_images", broken)
    for number in range(50):
        multipart.run(0, number, Findings("forms", tmp_path))
    found = complaints(tmp_path)
    assert "IndexError" in found
    assert "does not hold" in found


def test_numbers_are_compared_with_a_tolerance_and_all_else_exactly() -> None:
    known = {"label": "7", "probabilities": [0.25, 0.75]}
    assert client.same(known, {"label": "7", "probabilities": [0.250001, 0.75]})
    for other in ({"label": "1"}, {"probabilities": [0.25, 0.7]}, {"probabilities": [0.25]}, {"more": 1}):
        assert not client.same(known, known | other)


def test_growth_is_measured_after_the_first_half() -> None:
    flat = memory.Memory(0, [mb * memory.MB for mb in (20, 20, 20, 50, 50, 50, 60, 90, 60, 61, 61, 0)])
    assert flat.growth_mb() == 1
    assert memory.Memory(0, [mb * memory.MB for mb in (60, 60, 60, 60, 70, 70, 80, 80)]).growth_mb() == 10


def test_memory_is_that_of_all_processes() -> None:
    with running_service("--workers", "2") as service:
        pids = memory.family(service.process.pid)
        assert len(pids) >= 3
        assert sum(map(memory.resident, pids)) > service.resident_bytes() > 0
