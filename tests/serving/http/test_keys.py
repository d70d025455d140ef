"""API keys at both doors."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.http.front import HOT
from serving.http.keys import bearer, needs_key, writes
from serving.settings import Settings
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.fakes import FakeModel, fake_index
from tests.serving.http.key_files import ALICE, BOB, keys_file
from tests.serving.problems import assert_problem
from tests.serving.sockets import connect, request, responses, serving

DOORS = ["/predict", "/predict?debug=true"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return keys_file(tmp_path)


@contextmanager
def asked(**settings: object) -> Iterator[TestClient]:
    app = create_app(Settings(**settings), FakeModel(), fake_index())  # type: ignore[arg-type]
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def status(answer: tuple[str, dict[str, str], bytes]) -> int:
    return int(answer[0].split()[1])


@pytest.mark.parametrize("url", DOORS)
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([f"X-API-Key: {ALICE}"], 200),
        ([f"x-api-key:{BOB}  "], 200),
        ([f"Authorization: Bearer {BOB}"], 200),
        ([f"AUTHORIZATION: bEARER   {ALICE}"], 200),
        ([f"X-API-Key: {ALICE}", "Authorization: Basic YWxpY2U6YQ=="], 200),
        ([f"X-API-Key: {ALICE}", "Authorization: Bearer of-the-proxy"], 200),
        (["X-API-Key: of-the-proxy", f"Authorization: Bearer {ALICE}"], 401),
        (["X-API-Key:", f"Authorization: Bearer {ALICE}"], 401),
        ([], 401),
        (["X-API-Key:"], 401),
        (["X-API-Key: alice"], 401),
        ([f"X-API-Key: {ALICE}x"], 401),
        ([f"X-API-Key: {ALICE[:-1]}"], 401),
        ([f"X-API-Key: {ALICE.upper()}"], 401),
        ([f"X-API-Key: {ALICE} {ALICE}"], 401),
        ([f"X-API-Key: {ALICE}, {ALICE}"], 401),
        ([f"X: X-API-Key: {ALICE}"], 401),
        ([f"X-API-Key: {'x' * 20_000}"], 401),
        (["X-API-Key: schlüssel-0123456789abcdef"], 401),
        ([f"Authorization: {ALICE}"], 401),
        (["Authorization: Bearer"], 401),
        ([f"Authorization: Basic {ALICE}"], 401),
        ([f"Proxy-Authorization: Bearer {ALICE}"], 401),
        ([f"X-API-Key: {ALICE}", f"X-API-Key: {ALICE}"], 400),
        ([f"Authorization: Bearer {ALICE}", f"Authorization: Bearer {ALICE}"], 400),
        (["Authorization: Basic YTph", f"Authorization: Bearer {ALICE}"], 400),
        ([f"X-API-Key: {ALICE}", f"X-API-Key: {BOB}", f"Authorization: Bearer {ALICE}"], 400),
    ],
)
def test_a_key_is_asked_for_at_both_doors(
    file: Path, digits: Digits, url: str, headers: list[str], expected: int
) -> None:
    sent = request(encoded(digits[0][0]), *headers, url=url)
    with serving(api_keys_file=file) as port, connect(port) as connection:
        for _ in range(2):  # the connection stays open
            connection.sendall(sent)
            (answer,) = responses(connection, 1)
            assert status(answer) == expected, answer
            if expected != 200:
                problem = json.loads(answer[2])
                assert answer[1]["content-type"] == "application/problem+json"
                assert problem["status"] == expected
                assert ALICE not in answer[2].decode()
            assert answer[1].get("www-authenticate") == ("Bearer" if expected == 401 else None)


def test_both_doors_say_the_same(file: Path, digits: Digits) -> None:
    body = encoded(digits[0][0])
    for header in ("X: 1", "X-API-Key: nobodys-key-0123456789", f"X-API-Key: {ALICE}\r\nX-API-Key: {BOB}"):
        with serving(api_keys_file=file) as port, connect(port) as connection:
            connection.sendall(b"".join(request(body, header, url=url) for url in DOORS))
            short, long = responses(connection, 2)
        own = {"x-request-id", "date"}
        assert (short[0], short[2]) == (long[0], long[2])
        assert {name: short[1][name] for name in long[1].keys() - own} == {
            name: long[1][name] for name in long[1].keys() - own
        }


def test_what_is_open_without_a_key(file: Path) -> None:
    with asked(api_keys_file=file) as client:
        for url in ("/health/live", "/health/ready", "/docs", "/docs/assets/swagger-ui.css", "/openapi.json"):
            assert client.get(url).status_code == client.head(url).status_code == 200, url
        for url in ("/metrics", "/model", "/nowhere", "/index", "/health", "/docs/", "/openapi.json/", "/HEALTH/live"):
            assert client.get(url).status_code == 401, url
        assert client.get("/metrics", headers={"Authorization": f"Bearer {BOB}"}).status_code == 200
        assert 401 not in (client.get("/").status_code, client.get("/assets/none.js").status_code)
        assert client.post("/health/live").status_code == client.delete("/").status_code == 401
        document = client.get("/openapi.json").json()
    assert "security" not in document["paths"]["/health/live"]["get"]
    for path, method in (("/predict", "post"), ("/metrics", "get")):
        operation = document["paths"][path][method]
        assert {name for one in operation["security"] for name in one} == set(document["components"]["securitySchemes"])
        assert "401" in operation["responses"]


def test_without_keys_nothing_is_asked_for(digits: Digits) -> None:
    with asked() as client:
        assert client.get("/metrics", headers={"X-API-Key": "what ever"}).status_code == 200
        assert "securitySchemes" not in client.get("/openapi.json").json()["components"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
@pytest.mark.parametrize("path", ["/index/items/a/b.png", "/index", "/index/anything"])
def test_others_write_nothing_while_no_key_is_set(file: Path, method: str, path: str) -> None:
    for settings in ({"host": "0.0.0.0"}, {"host": "10.0.0.1"}, {"allowed_hosts": "*"}, {"allowed_hosts": "a.example"}):
        with asked(**settings) as client:
            assert_problem(client.request(method, path), 403, "FEWLABEL_API_KEYS_FILE")
    for settings in ({}, {"host": "localhost"}, {"host": "::1", "allowed_hosts": "127.0.0.1"}):
        with asked(**settings) as client:
            assert client.request(method, path).status_code not in (401, 403)
    with asked(host="0.0.0.0", api_keys_file=file) as client:
        assert client.request(method, path).status_code == 401
        assert client.request(method, path, headers={"X-API-Key": BOB}).status_code not in (401, 403)


@pytest.mark.parametrize("field", ["Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "x-forwarded-HOST"])
def test_nothing_is_written_through_a_proxy_while_no_key_is_set(file: Path, digits: Digits, field: str) -> None:
    content, url = encoded(digits[0][0]), "/index/items/f"
    with asked(request_timeout_s=30) as client:
        headers = {field: "for=10.0.0.1"}
        assert_problem(client.put(url, content=content, headers=headers), 403, "through a proxy")
        assert_problem(client.delete("/index/items/a", headers=headers), 403, "FEWLABEL_API_KEYS_FILE")
        assert client.get("/index/items/a", headers=headers).status_code == 200
        assert client.post("/search", content=content, headers=headers).status_code == 200
        assert client.put(url, content=content, headers={"X-Forwarded": "x"}).status_code == 201
        headers["X-API-Key"] = BOB
    with asked(api_keys_file=file, request_timeout_s=30) as client:
        assert client.put(url, content=content, headers=headers).status_code == 200


def test_what_writes_passes_the_second_door() -> None:
    """The first door asks for a key, and does not look whether a request writes."""
    for line in HOT:
        method, target, _ = line.decode().split()
        assert not writes(method, target.partition("?")[0])
        assert needs_key(method, target.partition("?")[0])
    assert not writes("GET", "/index/items/a")
    assert not writes("PUT", "/indexes")
    assert needs_key("POST", "/health/live")
    assert not needs_key("HEAD", "/")


def test_the_log_tells_who_wrote_and_no_key(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), asked(api_keys_file=file) as client:
        client.put("/index/items/a%0Ab.png", headers={"X-API-Key": ALICE}, content=b"x")
        client.put("/index/items/b.png", headers={"X-API-Key": f"{ALICE}x"}, content=b"x")
        client.get("/index/items/c.png", headers={"Authorization": f"Bearer {BOB}"})
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.endswith(f"API keys in {file}: alice, bob") for line in lines)
    assert [line for line in lines if line.startswith("key ")] == [r"key alice: PUT /index/items/a\nb.png"]
    assert not [line for line in lines if ALICE in line or BOB in line]


@pytest.mark.parametrize(
    ("authorization", "tokens"),
    [
        ([], []),
        ([b"Bearer k"], [b"k"]),
        ([b"Basic k"], []),
        ([b"Bearer"], [b""]),
        ([b"bearer  k "], [b"k"]),
        ([b""], []),
    ],
)
def test_which_token_is_sent(authorization: list[bytes], tokens: list[bytes]) -> None:
    assert bearer(authorization) == tokens
