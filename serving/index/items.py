"""What the index keeps of an image, and what can be done to it. Knows neither databases nor HTTP."""

import json
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.errors import MalformedRequest, ServiceError

LabelSource = Literal["given", "person"]
"""Whether a label came with the image, or a person said it here."""
Source = Literal["bundle", "user"]
"""Whose image it is: the bundle's own, over which a label lies, or a user's."""
Vector = NDArray[np.float32]
"""(dim,), unit norm."""

MAX_ID = 255
"""Characters."""
MAX_LABEL = 255
"""Characters."""
MAX_METADATA = 16_384
"""Bytes of JSON."""
ROW_BYTES = 256
"""What an item counts besides image, thumbnail, vector and metadata: its texts, numbers and places in indices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """All that is kept of an image but its pixels."""

    id: str
    label: str | None
    label_source: LabelSource | None
    """None without a label."""
    source: Source
    metadata: str
    """A JSON object."""
    model: str | None
    """name@version of what made the vector; None where there is no vector."""
    vector: Vector | None = field(compare=False)
    size: int
    """Bytes that it counts, image and thumbnail included."""
    created: float
    """Seconds since 1970, UTC."""
    changed: float
    sequence: int
    """Number of its last change: each change of the store has one, and changes become visible in their order."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What remains of a deleted item."""

    id: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Keeps an image, in the place of the item of this id if there is one. Raises MalformedRequest."""

    id: str
    image: bytes
    """The file as it was sent."""
    thumbnail: bytes
    """A small PNG or JPEG file of it."""
    vector: Vector
    model: str
    label: str | None = None
    label_source: LabelSource = "given"
    metadata: str = "{}"
    replace: bool = True
    """Whether it may take an item's place; if not, it ends with Conflict."""
    sequence: int | None = None
    """Of the item as it was read, 0 for none: where it has changed since, this ends with Conflict. None: as it is."""

    def __post_init__(self) -> None:
        check_id(self.id)
        check_label(self.label)
        check_metadata(self.metadata)
        check_vector(self.vector)

    @property
    def size(self) -> int:
        """Bytes that it counts."""
        return ROW_BYTES + sum(map(len, (self.image, self.thumbnail, self.metadata.encode()))) + self.vector.nbytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Labels an item, or takes its label away; ends with UnknownItem where there is none. Raises MalformedRequest."""

    id: str
    label: str | None
    label_source: LabelSource = "person"
    bundled: bool = False
    """Whether the id is one of the bundle's own: the label then lies over it, as an item without an image."""
    sequence: int | None = None
    """As in Put."""

    def __post_init__(self) -> None:
        check_id(self.id)
        check_label(self.label)


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes an item, or the label that lies over one of the bundle's; ends with UnknownItem where there is none."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """Gives an item the vector of another model; ends with Conflict where it has changed since it was read."""

    id: str
    vector: Vector
    model: str
    sequence: int
    """Of the item as it was read."""

    def __post_init__(self) -> None:
        check_vector(self.vector)


Write = Put | Label | Delete | Embed
Result = Item | Gone | ServiceError
"""What became of one write: the item as it is now, that it is gone, or why nothing was done."""


def check_id(value: str) -> None:
    """An id is 1 to 255 characters of text, and a path: no control characters, no part empty, `.` or `..`.

    Clients and proxies shorten such parts of a URL, and `export` writes a file of this path. Raises MalformedRequest.
    """
    if not 1 <= len(value) <= MAX_ID:
        raise MalformedRequest(f"an id has 1 to {MAX_ID} characters, not {len(value)}")
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in value):
        raise MalformedRequest("an id is valid UTF-8 without control characters")
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise MalformedRequest("an id is a path without empty parts, `.` and `..`")


def check_label(value: str | None) -> None:
    """A label is 1 to 255 characters of text without U+0000, as names of classes are; raises MalformedRequest."""
    if value is None:
        return
    if not 1 <= len(value) <= MAX_LABEL:
        raise MalformedRequest(f"a label has 1 to {MAX_LABEL} characters, not {len(value)}")
    if any(one == "\0" or unicodedata.category(one) == "Cs" for one in value):
        raise MalformedRequest("a label is valid UTF-8 without U+0000")


def check_metadata(value: str) -> None:
    """Metadata are one JSON object of at most 16 kB, which strict readers take too, as answers hold it as it is.

    Raises MalformedRequest.
    """
    try:
        size = len(value.encode())
        if size > MAX_METADATA:
            raise MalformedRequest(f"metadata have at most {MAX_METADATA} bytes, not {size}")
        if not isinstance(json.loads(value, parse_constant=_refuse), dict) or "\0" in value:
            raise MalformedRequest("metadata are a JSON object")
        orjson.loads(value)  # no halves of a character, no numbers without end
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"metadata are a JSON object: {error}") from error


def _refuse(constant: str) -> None:
    """`NaN` and the like, which Python reads and others do not."""
    raise ValueError(constant)


def check_vector(vector: Vector) -> None:
    """Raises ValueError unless it is finite float32 (dim,): our own code made it."""
    if vector.ndim != 1 or vector.dtype != np.float32 or not np.isfinite(vector).all():
        raise ValueError(f"{vector.dtype} {vector.shape} where a finite float32 vector is needed")
