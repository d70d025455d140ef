"""Multipart bodies, split by hand: the library that others parse them with is the oracle."""

import httpx2 as httpx
import pytest

from serving.errors import BodyTooLarge, MalformedRequest, ServiceError
from serving.http.uploads import MAX_FILES, many_images, one_image


def form(*files: tuple[str, object]) -> bytes:
    return httpx.Request("POST", "http://x", files=list(files)).read()  # type: ignore[arg-type]


def part(disposition: bytes, content: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + content + b"\r\n"


@pytest.mark.parametrize("content", [b"x", b"\r\n", b"--", b"\r\n--\r\n--b", bytes(range(256)) * 9, b"a\r\n\r\nb"])
def test_any_content_comes_back(content: bytes) -> None:
    assert one_image(form(("file", ("a.png", content)))) == content
    assert many_images(form(("files", ("a", content)), ("other", b"1"), ("files", ("b", b"2")))) == [content, b"2"]


@pytest.mark.parametrize(
    "disposition",
    [
        b'name="file"; filename="a.png"',
        b"name=file; filename=a.png",
        b'filename="a; name=x.png"; name="file"',
        b"name=\"file\"; filename*=UTF-8''%e2%82%ac.png",
        b'name="file"; filename=""',
        b'NAME="file"; FILENAME="a"\r\nContent-Type: image/png\r\nX-Other: name="other"',
    ],
)
def test_every_way_to_name_the_field(disposition: bytes) -> None:
    assert one_image(part(disposition, b"pixels") + b"--b--\r\n") == b"pixels"


def test_padding_epilogue_and_missing_last_line_end_are_allowed() -> None:
    body = part(b'name="file"; filename="a"', b"1").replace(b"--b\r\n", b"--b \t\r\n")
    for end in (b"--b--", b"--b--\r\n", b"--b--\r\nepilogue"):
        assert one_image(body + end) == b"1"


def test_a_raw_image_is_itself() -> None:
    assert one_image(b"\x89PNG") == b"\x89PNG"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (part(b'name="file"; filename="a"', b""), "last boundary"),
        (part(b'name="file"; filename="a"', b"") + b"--b--", "is empty"),
        (part(b'name="file"', b"a field, no file") + b"--b--", "fields sent: 'file'"),
        (part(b'name="image"; filename="a"', b"1") + b"--b--", "fields sent: 'image'"),
        (form(("file", ("a", b"1")), ("file", ("b", b"2"))), "2 images: send one"),
        (b"--b\r\nno headers\r\n--b--", "no headers"),
        (b"--b--", "boundary"),
        (b"--" + b"b" * 71 + b"\r\n", "boundary"),
        (b"--\r\n\r\n--", "boundary"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(MalformedRequest, match=words):
        one_image(body)


def test_a_body_cut_off_anywhere_is_refused() -> None:
    body = form(("file", ("a.png", b"pixels")))
    whole = body.rindex(b"--") + 2
    for end in range(2, whole):
        with pytest.raises(ServiceError):
            one_image(body[:end])
    assert one_image(body[:whole]) == b"pixels"


def test_too_many_files_or_parts() -> None:
    assert len(many_images(form(*[("files", ("a", b"1"))] * MAX_FILES))) == MAX_FILES
    with pytest.raises(BodyTooLarge, match="257 images"):
        many_images(form(*[("files", ("a", b"1"))] * (MAX_FILES + 1)))
    with pytest.raises(BodyTooLarge, match="parts"):
        one_image(b"--b\r\n" + b"\r\n--b" * 1_000_000)
    with pytest.raises(MalformedRequest, match="multipart"):
        many_images(b"\x89PNG")
