"""The committed bundle behind a real server, over real sockets."""

import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from serving.model import load_model
from tests.conftest import BUNDLE, ROOT, Digits
from tests.pictures.uploads import encoded, enlarged, jpeg_of_segments, png_header
from tests.servers import Service, clean_environment, command, running_service


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=30) as client:
        yield client


def test_uploads_get_the_offline_models_answers_whoever_asks_beside_them(client: httpx.Client, digits: Digits) -> None:
    """1,000 PNGs from 16 threads: each answer is the offline one of its own image."""
    images, labels = digits
    offline = load_model(BUNDLE, "cpu", 1).run_batch(images[:, None])

    def ask(image: NDArray[np.uint8]) -> list[float]:
        answer = client.post("/predict", content=encoded(image)).json()
        assert answer["digit"] == np.argmax(answer["probabilities"])
        probabilities: list[float] = answer["probabilities"]
        return probabilities

    with ThreadPoolExecutor(16) as pool:
        served = np.array(list(pool.map(ask, images)))
    np.testing.assert_allclose(served, [one.probabilities for one in offline], atol=1e-5)
    assert (served.argmax(axis=1) == labels).mean() >= 0.97


def test_pictures_as_people_send_them_are_recognised(client: httpx.Client, digits: Digits) -> None:
    """200 digits as large dark-on-light JPEGs."""
    images, labels = digits[0][:200], digits[1][:200]
    bodies = [encoded(255 - np.asarray(enlarged(image, 10)), "JPEG") for image in images]
    answers = [client.post("/predict", files={"file": body}).json()["digit"] for body in bodies]
    assert (np.array(answers) == labels).mean() >= 0.95


def test_an_indexed_image_finds_itself(client: httpx.Client) -> None:
    with np.load(BUNDLE / "index.npz") as index:
        ids, thumbnails = index["ids"], index["thumbnails"]
    for number in (0, 137, 9_999):
        best = client.post("/search?k=3", content=encoded(thumbnails[number])).json()["neighbors"][0]
        assert best["id"] == ids[number]
        assert best["score"] == pytest.approx(1, abs=2e-3)
        assert best["label_source"] == ("given" if number < 200 else "predicted")


def test_embeddings_search_like_their_images(client: httpx.Client, digits: Digits) -> None:
    body = encoded(digits[0][7])
    embedding = client.post("/embed", content=body).json()["embedding"]
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    by_vector = client.post("/search/vector", json={"embedding": embedding}).json()["neighbors"]
    by_image = client.post("/search", content=body).json()["neighbors"]
    assert [one["id"] for one in by_vector] == [one["id"] for one in by_image]


def test_hostile_uploads_get_their_4xx_at_once_and_leave_no_memory_behind(
    service: Service, client: httpx.Client, digits: Digits
) -> None:
    png = encoded(enlarged(digits[0][0]))
    uploads: list[tuple[dict[str, object], set[int]]] = [
        ({"content": b""}, {400}),
        ({"files": {"file": ("notes.png", b"only text", "image/png")}}, {415}),
        ({"content": png[: len(png) // 2]}, {422}),
        ({"content": png_header(30_000, 30_000)}, {413}),
        ({"content": bytes(50_000_000)}, {413}),
        ({"content": jpeg_of_segments(200_000)}, {413}),
        ({"content": b"--" + b";" * 9_900_000}, {400}),
        ({"files": {"image": png}}, {400}),
    ]
    for turn in range(6):
        if turn == 1:  # the first one warms up
            before = service.resident_bytes()
        for upload, statuses in uploads:
            started = time.perf_counter()
            response = client.post("/predict", **upload)  # type: ignore[arg-type]
            assert response.status_code in statuses
            assert response.headers["content-type"] == "application/problem+json"
            assert time.perf_counter() - started < 1
    assert service.resident_bytes() - before < 20_000_000
    assert client.post("/predict", content=png).status_code == 200


def test_a_connection_that_closes_inside_the_body_is_no_error_of_ours(service: Service, client: httpx.Client) -> None:
    with socket.create_connection(service.address()) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
    time.sleep(0.2)
    assert 'status="500"' not in client.get("/metrics").text
    assert not any("Traceback" in line for line in service.log)


def test_an_upload_that_never_ends_is_refused_in_time() -> None:
    with running_service("--request-timeout-s", "0.3") as service, ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(service.address(), timeout=10))
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 408")


def test_what_was_accepted_is_answered_before_the_service_stops(digits: Digits) -> None:
    """SIGTERM while 20 uploads are half-way: all of them are answered, and nothing new is taken."""
    with running_service() as service, ExitStack() as stack:
        address = service.address()
        uploads = [encoded(image) for image in digits[0][:20]]
        connections = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in uploads]
        for connection, body in zip(connections, uploads, strict=True):
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
            connection.sendall(body[:100])
        time.sleep(0.3)
        service.process.terminate()
        time.sleep(0.3)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
        for connection, body in zip(connections, uploads, strict=True):
            connection.sendall(body[100:])
        for connection in connections:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        assert service.process.wait(timeout=20) is not None


def test_several_workers_answer_and_count_together(digits: Digits) -> None:
    with running_service("--workers", "2") as service:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert httpx.get(f"{service.url}/health/ready").status_code == 200
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        for image in digits[0][:40]:
            assert httpx.post(f"{service.url}/predict", content=encoded(image)).status_code == 200
        for _ in range(4):
            metrics = httpx.get(f"{service.url}/metrics").text
            assert 'fewlabel_requests_total{route="/predict",status="200"} 40.0' in metrics


def failure(*arguments: str, **variables: str) -> str:
    """What the service says when it does not start."""
    result = subprocess.run(
        command(*arguments), cwd=ROOT, env=clean_environment(**variables), capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    assert "FEWLABEL_PORT" in failure(FEWLABEL_PORT="many")
    assert "FEWLABEL_MAX_BATCH_SIZE" in failure("--max-batch-size", "0")
    assert "FEWLABEL_PROVIDER" in failure(FEWLABEL_PROVIDER="tpu")
    assert "FEWLABEL_PROT: there is no such setting" in failure(FEWLABEL_PROT="1")
    assert "DIGITS_PORT: this setting is called FEWLABEL_PORT now" in failure(DIGITS_PORT="8000")
    both = failure(FEWLABEL_PORT="x", FEWLABEL_WORKERS="0")
    assert "FEWLABEL_PORT" in both
    assert "FEWLABEL_WORKERS" in both


def test_a_missing_bundle_is_one_clear_message(tmp_path: Path) -> None:
    message = failure("--model-dir", str(tmp_path))
    assert "manifest.json" in message
    assert "make train-export" in message


def test_the_readme_examples_are_recognised(client: httpx.Client) -> None:
    """Each is the first test image of its class; of two README says that the model gets them wrong."""
    answers = []
    for digit in range(10):
        content = (ROOT / "examples" / f"{digit}.png").read_bytes()
        answers.append(client.post("/predict", content=content).json()["digit"])
    assert {digit for digit, answer in enumerate(answers) if answer != digit} <= {3, 5}
