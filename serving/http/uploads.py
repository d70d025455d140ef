"""Request body → the bytes of the images in it, within limits. Knows nothing about what an image is.

A multipart body (RFC 7578) is in memory as a whole; one pass finds its boundaries. `tests/serving/http/forms.py` lists
forms and how each is read.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from serving.errors import BodyTooLarge, MalformedRequest

FIELD, FIELDS, METADATA = b"file", b"files", b"metadata"
"""Names of the multipart field that holds one image, of that which holds many, and of JSON beside an image."""
FIRST_BYTES = (b"--", b"\r\n--")
"""What a multipart body starts with; .NET code often writes an empty line first."""
MAX_BOUNDARY = 70
"""Characters (RFC 2046, section 5.1.1)."""
MAX_FILES = 256
"""Images in one request."""
MAX_PARTS = MAX_FILES + 10
MAX_PART_HEADERS, MAX_HEADERS = 8_192, 131_072
"""Bytes, in one part and in all parts together; to read them takes up to 0.1 µs a byte."""
MAX_SHOWN, MAX_NAME = 5, 100
"""How many names of fields an error repeats, and how many characters of each."""
END_OF_BOUNDARY = re.compile(rb"--|[ \t]{0,70}+\r\n")
DISPOSITION = re.compile(rb"\r\ncontent-disposition:([^\r\n]*+(?:\r\n[ \t][^\r\n]*+)*+)", re.IGNORECASE)
PARAMETER = re.compile(rb';\s*+([^=;\s]++)=(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^;\s]*+))')
FILENAMES = frozenset((b"filename", b"filename*", b"filename*0", b"filename*0*"))
"""Parameters that make a part a file: RFC 7578 has only the first, but aiohttp and .NET write RFC 2231's too."""

WINDOW = 1_000_000
"""Bytes of a body that are searched at once: a search keeps Python's lock, for up to 4 ms a million bytes."""
T = TypeVar("T")


def check_size(size: int, max_bytes: int) -> None:
    """Raises BodyTooLarge for a body of more than `max_bytes`."""
    if size > max_bytes:
        raise BodyTooLarge(f"the body is larger than {max_bytes:,} bytes")


def one_image(body: bytes) -> bytes:
    """The uploaded image, sent raw or as the multipart field `file`.

    Which of the two is told by the first bytes, not by the header: `curl --data-binary` claims to send a form.
    Raises MalformedRequest or BodyTooLarge.
    """
    if not body:
        raise MalformedRequest("the body is empty: send an image")
    if not body.startswith(FIRST_BYTES):
        return body
    content, *more = _files(body, FIELD)
    if more:
        raise MalformedRequest(f"{1 + len(more)} images: send one here, or many to /predict/batch or /embed/batch")
    if not content:
        raise MalformedRequest(f"the file in the multipart field {FIELD.decode()!r} is empty")
    return content


def one_item(body: bytes) -> tuple[bytes, str]:
    """As `one_image`, and the JSON in the form's field `metadata`: `{}` where there is none.

    A form has no other fields, lest a client believe that they are kept.
    """
    image = one_image(body)
    parts = _parts(body) if body.startswith(FIRST_BYTES) else ()
    fields = [(_parameters(headers).get(b"name", b""), content) for headers, content in parts]
    if others := [name for name, _ in fields if name not in (FIELD, METADATA)]:
        raise MalformedRequest(f"a form has the fields 'file' and 'metadata' alone; it also has {_shown(others)}")
    found = [content for name, content in fields if name == METADATA]
    if len(found) > 1:
        raise MalformedRequest(f"the form has the field {METADATA.decode()!r} {len(found)} times")
    try:
        return image, found[0].decode() if found else "{}"
    except UnicodeDecodeError:
        raise MalformedRequest("metadata are a JSON object in UTF-8") from None


def many_images(body: bytes) -> list[bytes]:
    """The files of the multipart field `files`, in order. Raises MalformedRequest or BodyTooLarge."""
    if not body.startswith(FIRST_BYTES):
        raise MalformedRequest(f"send the images as multipart/form-data, in the field {FIELDS.decode()!r}")
    files = _files(body, FIELDS)
    if len(files) > MAX_FILES:
        raise BodyTooLarge(f"{len(files)} images; at most {MAX_FILES} are taken at once")
    return files


async def unpacked(unpack: Callable[[bytes], T], body: bytes) -> T:
    """`one_image` or `many_images` of `body`; large bodies on a thread, since a hostile form of 10 MB takes 40 ms."""
    return unpack(body) if len(body) <= WINDOW else await asyncio.to_thread(unpack, body)


def _files(body: bytes, field: bytes) -> list[bytes]:
    """The contents of all files in one field; at least one."""
    found, others = [], []
    usual = b'\r\nContent-Disposition: form-data; name="' + field + b'"; filename='
    for headers, content in _parts(body):
        # What most clients write. With no third semicolon there is no other parameter, so `_parameters` says the same.
        if headers.startswith(usual) and headers.count(b";") == 2:
            found.append(content)
            continue
        parameters = _parameters(headers)
        if parameters.get(b"name") == field and not FILENAMES.isdisjoint(parameters):
            found.append(content)
        else:
            others.append(parameters.get(b"name", b""))
    if not found:
        raise MalformedRequest(
            f"the image must be a file in the multipart field {field.decode()!r}; fields sent: {_shown(others)}"
        )
    return found


def _shown(names: list[bytes]) -> str:
    """The first of the fields' names, for an error."""
    shown = ", ".join(repr(name.decode("utf-8", "replace")[:MAX_NAME]) for name in names[:MAX_SHOWN]) or "none"
    return f"{shown} and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else shown


def _parameters(headers: bytes) -> dict[bytes, bytes]:
    """The first Content-Disposition's parameters, escapes left in; of a repeated one the last."""
    disposition = DISPOSITION.search(headers)
    found = PARAMETER.findall(disposition[1]) if disposition else []
    return {name.lower(): quoted or token for name, quoted, token in found}


def _parts(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Headers, CRLF first, and content of each part; the first line is the boundary (RFC 2046, section 5.1.1)."""
    first = body.index(b"-")
    start = body.find(b"\r\n", first, first + 2 * MAX_BOUNDARY)
    boundary = body[first : max(start, 0)].rstrip(b" \t")
    if not 2 < len(boundary) <= 2 + MAX_BOUNDARY:
        raise MalformedRequest("the body starts like multipart, but its first line is no boundary (RFC 2046)")
    delimiter, position, total = b"\r\n" + boundary, start, 0
    find = body.find if len(body) <= WINDOW else partial(_find, body)
    for _ in range(MAX_PARTS):
        end = find(delimiter, position)
        if end < 0:
            raise MalformedRequest("the multipart body is cut off: its last boundary is missing")
        position = end + len(delimiter)
        after = END_OF_BOUNDARY.match(body, position)
        if after is None:
            continue  # a longer line, which is content
        limit = start + MAX_PART_HEADERS
        blank = body.find(b"\r\n\r\n", start, end + 2 if end < limit else limit)
        total += blank - start
        if total > MAX_HEADERS or (blank < 0 and end >= limit):
            raise BodyTooLarge(f"headers of parts: at most {MAX_PART_HEADERS:,} bytes in each, {MAX_HEADERS:,} in all")
        if blank < 0:
            raise MalformedRequest("the multipart body is damaged: a part has no headers")
        yield body[start:blank], body[blank + 4 : end]
        if after[0] == b"--":
            return
        start = position = after.end() - 2
    raise BodyTooLarge(f"the multipart body has more than {MAX_PARTS} parts")


def _find(body: bytes, sought: bytes, start: int) -> int:
    """`body.find`, window by window."""
    for at in range(start, len(body), WINDOW):
        if (found := body.find(sought, at, at + WINDOW + len(sought) - 1)) >= 0:
            return found
    return -1
