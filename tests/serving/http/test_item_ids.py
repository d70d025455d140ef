"""Ids of items as paths in a URL, over plain sockets: clients write what no library would."""

import json
from urllib.parse import quote

import httpx2 as httpx
import pytest

from serving.index.items import MAX_ID
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.sockets import connect, responses

GOOD = [
    "x", "cats/42.jpg", "a b/Äpfel & Birnen.png", "猫.png", "e\u0301", "😀", "100%", "a%2Fb", "a?b#c", "a+b", "a;b=c&d",
    "~", "a\\b", "...", "..a", "a..", " ", " x ", "'\"<>`", "labels.csv", "items", "-", "C:/x", "\u200b",
    "x" * MAX_ID, "猫" * MAX_ID,
]  # fmt: skip
BAD = [
    b"", b"%2F", b"/", b"/x", b"x/", b"a//b", b".", b"..", b"a/../b", b"a/./b", b"../x", b"%2e%2e", b"a%2F..%2Fb",
    b"..%2fx", b"%00", b"a%00b", b"a%1Bb", b"a%7F", b"%FF", b"%C3", b"%ED%A0%80", b"x" * (MAX_ID + 1),
    b"%C0%AE%C0%AE", b"a%C2%85", b"a%0A", b"a%0Ab", b"%0A", b"a%0D", b"a%0A%0A",
]  # fmt: skip


def ask(port: int, target: bytes, method: bytes = b"GET", body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    with connect(port) as connection:
        head = b"%b %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (method, target, len(body))
        connection.sendall(head + body)
        ((status, headers, content),) = responses(connection, 1)
    return int(status.split()[1]), headers, content


def test_ids_are_kept_as_they_are(port: int, digits: Digits) -> None:
    picture = encoded(digits[0][0])
    for number, own_id in enumerate(GOOD):
        target = b"/index/items/" + quote(own_id, safe="/").encode()
        status, headers, content = ask(port, target + b"?label=l%d" % number, b"PUT", picture)
        assert (status, json.loads(content)["id"], headers["location"]) == (201, own_id, target.decode())
    for number, own_id in enumerate(GOOD):
        every = b"".join(b"%%%02x" % byte for byte in own_id.encode())  # all of it escaped, slashes too
        for path in (quote(own_id, safe="/").encode(), every):
            status, _, content = ask(port, b"/index/items/" + path)
            assert (status, json.loads(content)["id"], json.loads(content)["label"]) == (200, own_id, f"l{number}")
            assert ask(port, b"/index/images/" + path)[2] == picture
    listed = json.loads(ask(port, b"/index/items?source=user&limit=1000")[2])["items"]
    assert [one["id"] for one in listed] == sorted(GOOD)


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE", b"PATCH"])
def test_what_is_no_id_is_refused(port: int, digits: Digits, method: bytes) -> None:
    body = {b"PUT": encoded(digits[0][0]), b"PATCH": b'{"label": "x"}'}.get(method, b"")
    for path in BAD:
        status, headers, _ = ask(port, b"/index/items/" + path, method, body)
        assert (status, headers["content-type"]) == (400, "application/problem+json"), path
    assert json.loads(ask(port, b"/index")[2])["items"] == 0


def test_a_line_end_is_not_lost(port: int, digits: Digits) -> None:
    """A pattern's `$` matches before one; the framework's own parameter has lost it."""
    picture = encoded(digits[0][0])
    for path in (b"a%0A", b"a%0Ab", b"%0A", b"a%0D", b"a%0A%0A"):
        assert ask(port, b"/index/items/" + path, b"PUT", picture)[0] in (400, 404), path
    assert json.loads(ask(port, b"/index")[2])["items"] == 0


def test_the_escaped_name_of_a_route_is_the_route(port: int, digits: Digits) -> None:
    assert ask(port, b"/inde%78/items/f/g", b"PUT", encoded(digits[0][0]))[0] == 201
    assert json.loads(ask(port, b"/index%2Fitems/f/g")[2])["id"] == "f/g"
    assert json.loads(ask(port, b"http://localhost/index/items/f/g")[2])["id"] == "f/g"


@pytest.mark.parametrize("query", [
    b"label=", b"label=%00", b"label=%FF", b"label=" + b"x" * 256, b"label=a%0Ab", b"label=a%C2%85b",
    b"label=%E2%80%A8", b"label=%20x", b"label=x+",
])  # fmt: skip
def test_labels_are_text(port: int, digits: Digits, query: bytes) -> None:
    assert ask(port, b"/index/items/f?" + query, b"PUT", encoded(digits[0][0]))[0] == 400
    assert ask(port, b"/index/items/f")[0] == 404


def test_bytes_that_no_address_has_are_refused(port: int) -> None:
    for target in (b"/index/items/\xc3\xa4", b"/index/items/a\x01"):
        assert ask(port, target)[0] == 400, target


def test_neither_route_nor_library_walks_out_of_the_index(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for path in ("/index/images/../../etc/passwd", "/index/thumbnails/..%2F..%2Fetc%2Fpasswd"):
            assert client.get(path).status_code in (400, 404)
