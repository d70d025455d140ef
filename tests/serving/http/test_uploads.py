"""Multipart bodies, split by hand: a corpus of forms says how each is read; httpx writes others."""

import random

import httpx2 as httpx
import pytest

from serving.errors import BodyTooLarge, MalformedRequest, ServiceError
from serving.http import uploads
from serving.http.uploads import MAX_FILES, MAX_PARTS, many_images, one_image
from tests.serving.http import forms
from tests.serving.http.forms import FORMS, Form


def reading(body: bytes) -> list[bytes] | str:
    """The files in the field `files`, or the refusal's words."""
    try:
        return many_images(body)
    except ServiceError as error:
        return str(error)


@pytest.mark.parametrize("window", [uploads.WINDOW, 5])
@pytest.mark.parametrize("one", FORMS, ids=[f"{one.section}: {one.title}" for one in FORMS])
def test_a_form_is_read_as_the_rfc_says(one: Form, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "WINDOW", window)
    found = reading(one.body)
    if isinstance(one.reading, str):
        assert isinstance(found, str)
        assert one.reading in found
        return
    assert found == one.reading
    contents = [content.replace(b"files", b"file") for content in one.reading]
    if len(contents) == 1 and contents[0]:
        assert one_image(one.body.replace(b"files", b"file")) == contents[0]


def test_a_damaged_form_is_refused_or_yields_pieces_of_its_body() -> None:
    drawn = random.Random(0)
    pieces = [b"", b"\r\n", b"--b", b"--", b'"', b";", b"\\", b"\0", b" ", b"\r\n\r\n", b"\r\n--b", forms.USUAL]
    for _ in range(3_000):
        body = drawn.choice(FORMS).body
        for _ in range(drawn.randint(1, 3)):
            at = drawn.randint(0, len(body))
            body = body[:at] + drawn.choice(pieces) + body[at + drawn.choice([0, 0, 1, 9]) :]
        found = reading(body)
        assert isinstance(found, str) or all(content in body for content in found)


def test_the_usual_headers_mean_the_same_as_in_lower_case() -> None:
    """Headers that start as most clients write them are not parsed; lower case always is."""
    drawn = random.Random(0)
    pieces = [b'"a.png"', b'; name="x"', b"; filename=b", b";", b'"', b"\\", b" ", b"\r\n ", b"\r\n", b"\r\nX: y"]
    pieces += [b"\r\n" + forms.OTHER, b"\r\n" + forms.USUAL, b"Content-Disposition: x\r\n"]
    usual = forms.disposition('name="files"; filename=')
    kinds = []
    for _ in range(3_000):
        headers = b"".join([drawn.choice([usual, usual, b"", b"X: y"]), *drawn.choices(pieces, k=drawn.randint(0, 4))])
        body = forms.form(forms.part(headers))
        written, lowered = reading(body), reading(body.replace(b"Content-D", b"content-d"))
        if isinstance(written, list):
            written = [content.replace(b"Content-D", b"content-d") for content in written]
        assert lowered == written
        kinds.append(type(written))
    assert min(kinds.count(list), kinds.count(str)) > 300


def form(*files: tuple[str, object]) -> bytes:
    return httpx.Request("POST", "http://x", files=list(files)).read()  # type: ignore[arg-type]


def part(disposition: bytes, content: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + content + b"\r\n"


@pytest.mark.parametrize("content", [b"x", b"\r\n", b"--", b"\r\n--\r\n--b", bytes(range(256)) * 9, b"a\r\n\r\nb"])
def test_any_content_comes_back(content: bytes) -> None:
    assert one_image(form(("file", ("a.png", content)))) == content
    assert many_images(form(("files", ("a", content)), ("other", b"1"), ("files", ("b", b"2")))) == [content, b"2"]


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
    with pytest.raises(BodyTooLarge, match="266 parts"):
        one_image(part(b'name="x"', b"1") * (MAX_PARTS + 1))
    with pytest.raises(BodyTooLarge, match="266 parts"):
        one_image(part(b'name="file"; filename="a"', b"\r\n--bc" * 1_000_000) + b"--b--")
    with pytest.raises(MalformedRequest, match="no headers"):
        one_image(b"--b\r\n" + b"\r\n--b" * 1_000_000)
    with pytest.raises(MalformedRequest, match="multipart"):
        many_images(b"\x89PNG")


def test_headers_are_bounded_in_each_part_and_in_all() -> None:
    with pytest.raises(BodyTooLarge, match="8,192 bytes in each"):
        one_image(part(b";a=b" * 2_500_000, b"1") + b"--b--")
    with pytest.raises(BodyTooLarge, match="8,192 bytes in each"):
        one_image(b"--b\r\n" + b"X: y\r\n" * 1_000_000 + b"\r\n--b--")
    filled = part(b'name="files"; filename="a"; x=' + b"y" * 8_000, b"1")
    assert len(many_images(filled * 16 + b"--b--")) == 16
    with pytest.raises(BodyTooLarge, match="131,072 in all"):
        many_images(filled * 17 + b"--b--")


def test_a_refusal_repeats_five_short_names_and_counts_the_others() -> None:
    body = b"".join(part(b'name="%d%b"' % (number, b"n" * 1_000), b"1") for number in range(8)) + b"--b--"
    with pytest.raises(MalformedRequest) as refusal:
        one_image(body)
    names = ", ".join(repr(f"{number}{'n' * 99}") for number in range(5))
    assert str(refusal.value).endswith(f"fields sent: {names} and 3 more")
