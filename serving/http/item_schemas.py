"""What answers about the index's items look like, and how their routes may fail."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from serving import errors
from serving.http import problems
from serving.http.replies import CSV, JSON, NPY, NPZ
from serving.http.schemas import BINARY, FORM, IMAGE_BODY, MODEL, LabelSource, Source, documented


class ItemShown(BaseModel):
    """One image of the index."""

    id: str = Field(examples=["cats/42.jpg"])
    label: str | None = Field(examples=["cat"])
    label_source: LabelSource
    source: Source
    metadata: dict[str, Any]
    """As it was sent."""
    embedded_by: str | None = Field(examples=[MODEL])
    """`name@version` of the model that made its vector; null where there is no vector."""
    searched: bool
    """Whether searches find it; if not, another model made its vector."""
    bytes: int = Field(examples=[51_234])
    """What it counts against the index's bound; 0 for an image that came with the model."""
    created: str | None
    """UTC, ISO 8601; null for an image that came with the model, as long as nobody labels it."""
    changed: str | None
    """Likewise."""


class Item(ItemShown):
    """The same for one alone."""

    model: str = Field(examples=[MODEL])
    """`name@version` of the model that searches."""


class ItemsPage(BaseModel):
    """Images in the order of their ids."""

    items: list[ItemShown]
    cursor: str | None
    """Give it as `cursor` to get those behind; null where there are none."""
    model: str = Field(examples=[MODEL])


class Labelling(BaseModel):
    """A label, or null to take it away."""

    model_config = ConfigDict(extra="forbid")

    label: str | None = Field(examples=["cat"])


class ToLabel(BaseModel):
    """An image that nobody has labelled."""

    id: str = Field(examples=["cats/42.jpg"])
    label: str | None
    """What the model takes it for; null where it does not say."""
    label_source: LabelSource
    source: Source


class Next(BaseModel):
    """Images whose labels would teach most, the most useful first."""

    items: list[ToLabel]
    model: str = Field(examples=[MODEL])


class Vectors(BaseModel):
    """All images that are searched, at one moment; lists of one length."""

    ids: list[str]
    labels: list[str | None]
    label_sources: list[LabelSource]
    sources: list[Source]
    embeddings: list[list[float]]
    """Each of unit length."""
    dim: int = Field(examples=[64])
    model: str = Field(examples=[MODEL])


class Totals(BaseModel):
    """What the index holds."""

    items: int | None = Field(examples=[1200])
    """Images that people sent, and labels over those that came with the model; null while `available` is false."""
    bytes: int | None = Field(examples=[61_000_000])
    max_items: int
    max_bytes: int
    searched: int = Field(examples=[11_200])
    """Images that searches find."""
    missing: int
    """Images that they do not find, as another model made their vector."""
    store: str = Field(examples=["sqlite"])
    """`sqlite` or `postgresql`."""
    available: bool
    """Whether the store answers; while it does not, searches go on and nothing can be written."""
    problem: str | None
    """Why it is not available."""
    writable: bool
    """Whether anybody may write: on an address that others reach, only with a key, and only once keys are set."""
    model: str = Field(examples=[MODEL])


WAITING = {errors.Overloaded, errors.Draining, errors.StoreFailure, errors.AnswerTimeout}
READING = documented({errors.MalformedRequest, errors.UnknownItem, *WAITING})
"""Of routes that change nothing."""
DELETING = documented({errors.MalformedRequest, errors.UnknownItem, errors.Forbidden, errors.Conflict, *WAITING})
LABELLING = DELETING | documented({errors.SlowUpload, errors.BodyTooLarge, errors.StoreFull})
PUTTING = documented(problems.PROBLEMS.keys() - {errors.NoClasses, errors.UnknownItem, errors.Unauthorized})
PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/*": {"schema": BINARY}}}, **READING}
TABLE: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {"schema": {"type": "string"}}}}, **READING}
VECTORS: dict[int | str, dict[str, Any]] = {
    200: {"content": {NPY: {"schema": BINARY}, NPZ: {"schema": BINARY}}},
    **READING,
    **documented({errors.Conflict}),
}


def _item_body() -> dict[str, Any]:
    """As IMAGE_BODY, with metadata in the form."""
    body = {**IMAGE_BODY["requestBody"], "content": dict(IMAGE_BODY["requestBody"]["content"])}
    properties = {"file": BINARY, "metadata": {"type": "string", "contentMediaType": JSON}}
    schema = {"type": "object", "required": ["file"], "properties": properties, "additionalProperties": False}
    body["content"][FORM] = {"schema": schema}
    body["description"] += " A form may have a field `metadata`, a JSON object of up to 16 kB."
    return {"requestBody": body}


ITEM_BODY = _item_body()
LABEL_BODY = {
    "requestBody": {
        "required": True,
        "description": "The new label.",
        "content": {JSON: {"schema": Labelling.model_json_schema()}},
    }
}
