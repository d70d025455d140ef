"""Request body → the bytes of the images in it, within limits. Knows nothing about what an image is.

Multipart bodies (RFC 7578) are split by their boundary at once, since they are in memory anyway.
"""

import re
from collections.abc import Iterator

from serving.errors import BodyTooLarge, MalformedRequest

FIELD, FIELDS = b"file", b"files"
"""Names of the multipart field that holds one image, and of that which holds many."""
MAX_BOUNDARY = 70
"""Characters (RFC 2046, section 5.1.1)."""
MAX_FILES = 256
"""Images in one request."""
MAX_PARTS = MAX_FILES + 10
DISPOSITION = re.compile(rb"^content-disposition:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
PARAMETER = re.compile(rb';[ \t]*([^=;\s]+)=(?:"([^"]*)"|([^;\s]*))')


def check_size(size: int, max_bytes: int) -> None:
    """Raises BodyTooLarge for a body of more than `max_bytes`."""
    if size > max_bytes:
        raise BodyTooLarge(f"the body is larger than {max_bytes:,} bytes")


def one_image(body: bytes) -> bytes:
    """The uploaded image, sent raw or as the multipart field `file`.

    Which of the two is told by the first bytes, not by the header: `curl --data-binary` claims to send a form.
    Raises MalformedRequest.
    """
    if not body:
        raise MalformedRequest("the body is empty: send an image")
    if not body.startswith(b"--"):
        return body
    content, *more = _files(body, FIELD)
    if more:
        raise MalformedRequest(f"{1 + len(more)} images: send one here, or many to /predict/batch or /embed/batch")
    if not content:
        raise MalformedRequest(f"the file in the multipart field {FIELD.decode()!r} is empty")
    return content


def many_images(body: bytes) -> list[bytes]:
    """The files of the multipart field `files`, in order. Raises MalformedRequest or BodyTooLarge."""
    if not body.startswith(b"--"):
        raise MalformedRequest(f"send the images as multipart/form-data, in the field {FIELDS.decode()!r}")
    files = _files(body, FIELDS)
    if len(files) > MAX_FILES:
        raise BodyTooLarge(f"{len(files)} images; at most {MAX_FILES} are taken at once")
    return files


def _files(body: bytes, field: bytes) -> list[bytes]:
    """The contents of all files in one field; at least one."""
    found, others = [], []
    usual = b'; name="' + field + b'"; filename='  # what nearly every client writes, told at once
    for headers, content in _parts(body):
        if usual in headers:
            found.append(content)
            continue
        disposition = DISPOSITION.search(headers)
        parameters = PARAMETER.findall(disposition[1]) if disposition else []
        named = {name.lower(): quoted or plain for name, quoted, plain in parameters}
        if named.get(b"name") == field and (b"filename" in named or b"filename*" in named):
            found.append(content)
        else:
            others.append(named.get(b"name", b"").decode("utf-8", "replace"))
    if not found:
        sent = ", ".join(map(repr, others)) or "none"
        raise MalformedRequest(
            f"the image must be a file in the multipart field {field.decode()!r}; fields sent: {sent}"
        )
    return found


def _parts(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Headers and content of each part; the body's first line is its boundary (RFC 2046, section 5.1.1)."""
    end = body.find(b"\r\n", 2, 2 + MAX_BOUNDARY + 2)
    boundary = body[: max(end, 0)].rstrip(b" \t")
    if len(boundary) <= 2:
        raise MalformedRequest("the body starts like multipart, but its first line is no boundary (RFC 2046)")
    delimiter = b"\r\n" + boundary
    if body.count(delimiter) > MAX_PARTS:
        raise BodyTooLarge(f"the multipart body has more than {MAX_PARTS} parts")
    *parts, epilogue = body[len(boundary) :].split(delimiter)
    if not epilogue.startswith(b"--"):
        raise MalformedRequest("the multipart body is cut off: its last boundary is missing")
    for part in parts:
        headers, blank, content = part.partition(b"\r\n\r\n")
        if not blank:
            raise MalformedRequest("the multipart body is damaged: a part has no headers")
        yield headers, content
