"""Pages for people; their files come with the package, so that they work without internet.

A file is compressed when it is asked for the first time, and kept. Its headers are set here, where it is served: added
middleware would move every request to the longer way.
"""

import gzip
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from serving.http.keys import API_KEY_FIELD, needs_key
from serving.http.schemas import PROBLEMS

WEB = Path(__file__).parent / "web"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
"""Suffix → media type, of all files that there are."""
DOCUMENTS = {KINDS[".html"], KINDS[".svg"]}
"""What a browser may show by itself, so that it needs a policy; the page's own holds for all that it loads."""
COMPRESSED = {".html", ".css", ".js", ".svg"}
PAGE, DOCS, INDEX = "page", "docs", "index.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of both pages: everything from here, and neither scripts nor styles inside the page."""
STRICT = f"{POLICY}; require-trusted-types-for 'script'; trusted-types 'none'"
"""Of our own, which also never makes elements of text."""
SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": API_KEY_FIELD},
    "bearer": {"type": "http", "scheme": "bearer"},
}
"""How OpenAPI describes the two ways to send a key."""


class File(NamedTuple):
    """One file, as it is sent."""

    content: bytes
    packed: bytes | None
    """The same, compressed by gzip; None where that saves nothing."""
    media_type: str
    tag: str
    """Of its content; in quotes it is the ETag."""


def install(app: FastAPI, keys: bool) -> None:
    """Adds the page and the OpenAPI page; with `keys` the latter asks for one."""
    if keys:
        _ask_for_keys(app)

    # Plain functions run on threads: the largest file takes 0.1 s to compress, once.
    @app.get("/", include_in_schema=False)
    def page(request: Request) -> Response:
        return _reply(request, PAGE, INDEX, STRICT)

    @app.get("/assets/{name}", include_in_schema=False)
    def asset(request: Request, name: str) -> Response:
        return _reply(request, PAGE, name, STRICT)

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        return _reply(request, DOCS, INDEX, POLICY)

    @app.get("/docs/assets/{name}", include_in_schema=False)
    def docs_asset(request: Request, name: str) -> Response:
        return _reply(request, DOCS, name, POLICY)


@cache
def _names(folder: str) -> frozenset[str]:
    """What there is to ask for; a request's own text never becomes a path."""
    return frozenset(path.name for path in (WEB / folder).iterdir() if path.suffix in KINDS)


@cache
def _file(folder: str, name: str) -> File:
    path = WEB / folder / name
    content = path.read_bytes()
    packed = gzip.compress(content, mtime=0) if path.suffix in COMPRESSED else None
    return File(content, packed, KINDS[path.suffix], sha256(content).hexdigest()[:16])


def _reply(request: Request, folder: str, name: str, policy: str) -> Response:
    """The file, compressed for whoever takes that; 304 for whoever has it. Raises HTTPException for another name."""
    if name not in _names(folder):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    file = _file(folder, name)
    packed = file.packed if takes_gzip(request.headers.getlist("accept-encoding")) else None
    tag = f'"{file.tag}{"-gzip" if packed else ""}"'
    headers = {
        "cache-control": "no-cache",  # asks each time, and is told 304: pages fit the service that they came with
        "etag": tag,
        "vary": "Accept-Encoding",
        "x-content-type-options": "nosniff",
    }
    if file.media_type in DOCUMENTS:
        headers |= {
            "content-security-policy": policy,
            "cross-origin-opener-policy": "same-origin",
            "referrer-policy": "no-referrer",
        }
    if tag in _tags(request.headers.getlist("if-none-match")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if packed is not None:
        headers["content-encoding"] = "gzip"
    return Response(file.content if packed is None else packed, headers=headers, media_type=file.media_type)


def takes_gzip(fields: list[str]) -> bool:
    """Whether the values of Accept-Encoding allow gzip (RFC 9110, section 12.5.3)."""
    for one in ",".join(fields).split(","):
        coding, _, weight = one.partition(";")
        if coding.strip().lower() == "gzip":
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _tags(fields: list[str]) -> set[str]:
    """Entity tags in the values of If-None-Match, compared weakly (RFC 9110, section 13.1.2)."""
    return {one.strip().removeprefix("W/") for one in ",".join(fields).split(",")}


def _ask_for_keys(app: FastAPI) -> None:
    """Says in the OpenAPI document which requests need a key."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document["components"]["securitySchemes"] = SCHEMES
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if needs_key(method.upper(), path):
                    operation["security"] = [{name: []} for name in SCHEMES]
                    operation["responses"].setdefault("401", PROBLEMS[HTTPStatus.UNAUTHORIZED])
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation says
