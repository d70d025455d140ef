"""What the unloaded service says of each image: under load it must say the same."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.errors import LoadTestError
from loadtest.files import MAX_FILE_BYTES, draw
from loadtest.payloads import load_digits
from loadtest.settings import headers

REFUSED = (400, 413, 415, 422)
"""Statuses that say that something is wrong with the file itself."""
MAX_SHOWN = 3
"""How many of the files that are left out are named."""


class Reference(NamedTuple):
    """The images of a load test, in order, and what the service says of them."""

    labels: list[str]
    paths: list[Path] | None
    """Where the images are; None for the digits of examples/."""
    accuracy: float | None
    """Share of right labels, where the right ones are known."""
    images: dict[str, int]
    """How many are sent, and how many there were."""


def ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    """The JSON object that `url` answers."""
    request = urllib.request.Request(url, body, headers())  # noqa: S310 (the user's own address)
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
        return answer


def of_digits(host: str, min_accuracy: float) -> Reference:
    """For the digits of examples/; raises LoadTestError when fewer than `min_accuracy` of the labels are right."""
    payloads, digits = load_digits()
    labels = [label(host, payload) for payload in payloads]
    accuracy = sum(one == str(digit) for one, digit in zip(labels, digits, strict=True)) / len(digits)
    if accuracy < min_accuracy:
        hint = "--data FOLDER posts your own pictures to a model that is not one of digits"
        raise LoadTestError(f"the service names {accuracy:.1%} of the digits right, {min_accuracy:.1%} needed; {hint}")
    return Reference(labels, None, accuracy, {"found": len(payloads), "sent": len(payloads)})


def of_files(host: str, folder: Path) -> Reference:
    """For image files drawn from `folder`, without those that the service refuses.

    Raises OSError, or LoadTestError when nothing is left.
    """
    drawn = draw(folder)
    labels, paths, refused = list[str](), list[Path](), list[str]()
    for path in drawn.paths:
        try:
            labels.append(label(host, content_of(path)))
        except RefusedFile as error:
            refused.append(f"{path}: {error}")
        else:
            paths.append(path)
    for line in refused[:MAX_SHOWN]:
        print(f"left out: {line}", file=sys.stderr)
    unreadable = drawn.unreadable + len(refused)
    left_out = f"{drawn.too_large:,} of more than {MAX_FILE_BYTES:,} bytes, {unreadable:,} unreadable"
    print(f"{folder}: {drawn.found:,} image files, {len(paths):,} are sent; left out: {left_out}", file=sys.stderr)
    if not paths:
        raise LoadTestError(f"{folder} holds no image file that the service takes")
    counts = {"found": drawn.found, "sent": len(paths), "too_large": drawn.too_large, "unreadable": unreadable}
    return Reference(labels, paths, None, counts)


class RefusedFile(LoadTestError):
    """Something is wrong with the file itself."""


def content_of(path: Path) -> bytes:
    """What a file holds; raises RefusedFile."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefusedFile(error.strerror) from error


def label(host: str, body: bytes) -> str:
    """The class that the service names; raises RefusedFile, or LoadTestError when the service is at fault."""
    try:
        answer = ask(f"{host}/predict", body)
    except urllib.error.HTTPError as error:
        detail = f"{error.code} {detail_of(error.read())}"
        if error.code in REFUSED:
            raise RefusedFile(detail) from error
        raise LoadTestError(f"the unloaded service answers {detail}") from error
    named = answer.get("label")
    if not isinstance(named, str):
        raise LoadTestError("what answers /predict names no label: is it this service, and its version this one?")
    return named


def detail_of(content: bytes) -> str:
    """What a problem document says; nothing for other content."""
    try:
        return str(json.loads(content)["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
