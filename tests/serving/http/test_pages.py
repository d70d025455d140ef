"""The page and the OpenAPI page: their headers, their files, and that they need nothing from elsewhere."""

import gzip
import re
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from serving.http import pages
from tests.serving.fakes import FakeModel, fake_index

PLAIN = {"Accept-Encoding": "identity"}
AS_CODE = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
FILES = [f"/assets/{path.name}" for path in sorted((pages.WEB / "page").iterdir()) if path.suffix in pages.KINDS]


class Page(HTMLParser):
    """What a page loads, and what its policy would refuse."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.refused: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self._script = tag == "script"
        self.refused += [name for name in found if name == "style" or name.startswith("on")]
        if tag in ("script", "img") and "src" in found:
            self.loaded.append(found["src"] or "")
        if tag == "link":
            self.loaded.append(found["href"] or "")
        if tag == "style":
            self.refused.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.refused.append(data)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_only_what_comes_with_it(client: TestClient, path: str) -> None:
    page = Page(client.get(path).text)
    assert page.loaded
    for one in page.loaded:
        assert client.get(f"/{one.removeprefix('/')}").status_code == 200, one
    assert not page.refused


def test_no_file_of_the_page_names_another_host_or_makes_elements_of_text(client: TestClient) -> None:
    for path in ["/", *FILES]:
        if path.endswith((".woff2", ".png")):
            continue
        text = client.get(path).text.replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert not re.search(AS_CODE, text), path


@pytest.mark.parametrize("path", FILES)
def test_headers_of_every_file(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"
    assert headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/", "/docs", "/assets/icon.svg"])
def test_what_can_be_opened_has_a_policy(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert ("trusted-types 'none'" in policy) == (not path.startswith("/docs"))


@pytest.mark.parametrize("path", ["/", "/assets/style.css", "/docs/assets/swagger-ui-bundle.js"])
def test_files_are_compressed_for_whoever_takes_that(client: TestClient, path: str) -> None:
    plain, packed = client.get(path, headers=PLAIN), client.get(path, headers={"Accept-Encoding": "br, GZIP;q=0.5"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.content == packed.content
    assert int(packed.headers["content-length"]) < 0.5 * len(plain.content)
    assert plain.headers["etag"] != packed.headers["etag"]


def test_what_is_compressed_already_is_sent_as_it_is(client: TestClient) -> None:
    font = client.get("/assets/figtree.woff2", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in font.headers
    assert font.headers["content-type"] == "font/woff2"


@pytest.mark.parametrize(
    ("field", "taken"),
    [("gzip", True), ("br", False), ("", False), ("gzip;q=0", False), ("br,gzip; q=0.2", True), ("*", False)],
)
def test_gzip_is_taken_only_where_it_is_named(field: str, taken: bool) -> None:
    assert pages.takes_gzip([field]) == taken


def test_whoever_has_a_file_is_told_so(client: TestClient) -> None:
    first = client.get("/assets/main.js")
    for tags in (first.headers["etag"], f'"other", W/{first.headers["etag"]}'):
        again = client.get("/assets/main.js", headers={"If-None-Match": tags})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert client.get("/assets/main.js", headers={**PLAIN, "If-None-Match": first.headers["etag"]}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/assets/", "/assets/OFL.txt", "/assets/none.js", "/assets/..%2Fpages.py", "/assets/%2e%2e/pages.py",
        "/assets/docs.js", "/docs/assets/main.js", "/docs/assets/%00", "/assets/MAIN.js",
    ],
)  # fmt: skip
def test_other_names_are_unknown(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_pages_head_is_answered_and_nothing_else_than_reading(client: TestClient) -> None:
    assert client.head("/").headers["content-type"] == "text/html; charset=utf-8"
    assert client.post("/").status_code == 405


def test_a_first_visit_is_small() -> None:
    """What the view "Try" loads, compressed: 100 kB would be too much."""
    text = gzip.decompress(pages._file("page", "index.html").packed or b"").decode()
    names = {one.removeprefix("assets/") for one in Page(text).loaded}
    files = [pages._file("page", name) for name in ("index.html", *sorted(names))]
    size = sum(len(file.content if file.packed is None else file.packed) for file in files)
    assert size < 64_000
    assert len(files) <= 13  # besides /model, and the icon


def test_the_map_holds_every_image(client: TestClient) -> None:
    found = client.get("/index/map").json()
    assert found["ids"] == ["a", "b", "c", "d"]
    assert len(found["x"]) == len(found["y"]) == 4
    assert found["labels"] == ["0", "1", "2", "3"]
    assert found["sources"] == ["bundle"] * 4
    assert (found["total"], found["model"]) == (4, FakeModel.name)
    assert found == client.get("/index/map").json()


def test_labels_that_their_neighbours_contradict_come_first(client: TestClient) -> None:
    assert len(fake_index().ids) == 4
    for name, label in {"a": "x", "b": "y", "c": "y", "d": "y"}.items():
        assert client.patch(f"/index/items/{name}", json={"label": label}).status_code == 200
    found = client.get("/index/doubtful?n=1").json()
    assert found["items"] == [{"id": "a", "label": "x", "label_source": "person", "source": "bundle", "suggested": "y"}]
    assert client.get("/index/doubtful?n=0").status_code == 400
