"""The API on a fake model: every error status."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from models.pictures import errors as picture_errors
from models.pictures.errors import PictureError
from models.pictures.preparation import Found
from serving import decoder, errors
from serving.decoder_process import DecoderProcess
from serving.errors import ServiceError
from serving.http.problems import PROBLEMS
from tests.conftest import Digits
from tests.pictures.uploads import encoded, enlarged, png_header
from tests.serving.fakes import LIMIT, FakeModel
from tests.serving.problems import assert_problem


@pytest.mark.parametrize("embedding", [[1, 2], [0, 0, 0, 0], [], ["a", 1, 1, 1], "text", None, [True, {}, 1, 1]])
def test_vectors_that_make_no_sense(client: TestClient, embedding: object) -> None:
    assert_problem(client.post("/search/vector", json={"embedding": embedding}), 400)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"embedding": [NaN, 1, 1, 1]}', b'{"embedding": [1e999,1,1,1]}'])
def test_vector_bodies_that_make_no_sense(client: TestClient, body: bytes) -> None:
    assert_problem(client.post("/search/vector", content=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize("query", ["k=0", "k=-1", "k=101", "k=x", "k="])
def test_numbers_of_neighbours_that_make_no_sense(client: TestClient, digits: Digits, query: str) -> None:
    assert_problem(client.post(f"/search?{query}", content=encoded(digits[0][0])), 400, "k")


def test_400_for_bodies_that_make_no_sense(client: TestClient, digits: Digits) -> None:
    body = encoded(digits[0][0])
    assert_problem(client.post("/predict"), 400, "empty")
    assert_problem(client.post("/predict", files={"image": body}), 400, "'file'", "'image'")
    assert_problem(client.post("/predict", files={"file": b""}), 400, "empty")
    assert_problem(client.post("/predict", data={"file": "text"}, files={"other": b"1"}), 400, "'file'")
    for damaged in (
        b"--",
        b"--x",
        b"--x\r\n",
        b"--x\r\n\r\n",
        b"--\r\n\r\nfoo",
        b'--\xff"\r\n--\xff"--\r\n',
        b"--" + b";" * 190_000,
    ):
        assert_problem(client.post("/predict", content=damaged), 400)
    assert_problem(client.post("/predict?embedding=perhaps", content=body), 400, "embedding")


def test_404_and_405_are_problems_too(client: TestClient) -> None:
    assert_problem(client.get("/nowhere"), 404)
    assert_problem(client.get("/predict"), 405)


def test_413_for_bytes_declared_bytes_sent_and_pixels(client: TestClient, model: FakeModel) -> None:
    assert_problem(client.post("/predict", content=b"x" * (LIMIT + 1)), 413, "200,000 bytes")

    def undeclared() -> Iterator[bytes]:
        for _ in range(LIMIT // 1000 + 1):
            yield b"x" * 1000

    assert_problem(client.post("/predict", content=undeclared()), 413, "200,000 bytes")
    assert_problem(client.post("/predict", content=png_header(30_000, 30_000)), 413, "30000 x 30000")
    assert not model.batches


def test_415_for_what_is_no_image(client: TestClient) -> None:
    assert_problem(client.post("/predict", files={"file": ("digit.png", b"only text", "image/png")}), 415, "PNG")


def test_422_for_a_damaged_image(client: TestClient, digits: Digits, model: FakeModel) -> None:
    content = encoded(enlarged(digits[0][0]))
    assert_problem(client.post("/predict", content=content[: len(content) // 2]), 422, "PNG")
    assert_problem(client.post("/predict", content=content[:33]), 422, "header")
    assert not model.batches


@pytest.mark.parametrize("error", [RuntimeError("cosmic ray"), SystemExit("cosmic ray")])
def test_500_when_the_model_fails_and_only_the_log_tells_why(
    client: TestClient, digits: Digits, model: FakeModel, error: BaseException
) -> None:
    model.error = error
    response = client.post("/predict", content=encoded(digits[0][0]))
    assert_problem(response, 500, "the model failed; the server's log tells more")
    assert "cosmic ray" not in response.text
    model.error = None
    assert client.post("/predict", content=encoded(digits[0][0])).status_code == 200


def test_500_for_a_bug_of_ours_is_counted_and_carries_its_id(
    client: TestClient, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(decoder.Decoder, "decode_here", bug)
    response = client.post("/search", content=encoded(digits[0][0]), headers={"X-Request-ID": "mine"})
    assert_problem(response, 500, "log")
    assert response.headers["x-request-id"] == "mine"
    assert 'fewlabel_requests_total{route="/search",status="500"} 1.0' in client.get("/metrics").text


def test_large_images_are_decoded_elsewhere_and_refused_when_too_many_wait(
    client: TestClient, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = encoded(enlarged(digits[0][0], 20))
    assert client.post("/predict", content=body).status_code == 200
    released, decode = threading.Event(), DecoderProcess.decode

    async def held(self: DecoderProcess, content: bytes) -> Found | PictureError:
        while not released.is_set():
            await asyncio.sleep(0.01)
        return await decode(self, content)

    monkeypatch.setattr(DecoderProcess, "decode", held)
    with ThreadPoolExecutor(40) as pool:
        responses = list(pool.map(lambda _: client.post("/predict", content=body), range(40)))
    released.set()
    assert {response.status_code for response in responses} == {503, 504}
    deadline = time.monotonic() + 5
    while client.post("/predict", content=body).status_code != 200:
        assert time.monotonic() < deadline


def test_413_for_a_vector_query_without_end(client: TestClient) -> None:
    body = b'{"embedding": [' + b"1," * 200_000 + b"1]}"
    assert_problem(client.post("/search/vector", content=body), 413)


def test_503_when_too_many_wait_and_504_when_the_answer_takes_too_long(
    client: TestClient, digits: Digits, model: FakeModel
) -> None:
    model.released.clear()
    with ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(lambda image: client.post("/predict", content=encoded(image)), digits[0][:20]))
    model.released.set()
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {503, 504}, statuses
    for response in responses:
        assert_problem(response, response.status_code)
        assert ("retry-after" in response.headers) == (response.status_code == 503)
    deadline = time.monotonic() + 5
    while client.post("/predict", content=encoded(digits[0][0])).status_code != 200:
        assert time.monotonic() < deadline


def test_every_failure_has_a_status_and_is_drawn() -> None:
    families = {ServiceError: errors.__doc__, PictureError: picture_errors.__doc__}
    assert set(PROBLEMS) == {kind for family in families for kind in family.__subclasses__()}
    for family, drawing in families.items():
        for kind in family.__subclasses__():
            assert f"─ {kind.__name__} " in (drawing or ""), kind
