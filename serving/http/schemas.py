"""What answers look like: for the OpenAPI page and for readers; the routes build the JSON themselves."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from serving.errors import Failure
from serving.http import problems
from serving.http.replies import JSON, OCTETS, PROBLEM

FORM = "multipart/form-data"
MODEL = "name@3f9c1a2b4d5e"
LabelSource = Literal["given", "person", "predicted"] | None
Source = Literal["bundle", "user"]
"""Whether an image came with the model, or somebody sent it."""


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


class Failed(BaseModel):
    """Stands where an image's answer would, when there is something wrong with it."""

    error: Problem


class PredictedOne(BaseModel):
    """A class, with how sure the model is."""

    label: str = Field(examples=["7"])
    """Name of the most probable class."""
    digit: int | None = Field(None, examples=[7])
    """The same as a number; only where the classes are digits."""
    confidence: float = Field(examples=[0.998])
    """Its probability, as if the image surely showed one of the classes."""
    known: bool = Field(examples=[True])
    """Whether the image looks like one of the classes at all: `novelty` is at most the model's threshold."""
    novelty: float = Field(examples=[0.0001])
    """How surely it shows none of them, from 0 to 1."""
    several: bool | None = Field(None, examples=[False])
    """Whether a picture of more than 48 pixels shows more that could be a digit; only where the classes are digits."""
    probabilities: list[float]
    """Probability of each class, in the manifest's order; they sum to 1."""


class Predicted(PredictedOne):
    """The same for one image alone."""

    model: str = Field(examples=[MODEL])
    """`name@version` of the model that answered."""
    embedding: list[float] | None = None
    """Only with `?embedding=true`."""
    seen: str | None = None
    """Only with `?debug=true`: what the model saw, a PNG file as a data URI."""


class PredictedBatch(BaseModel):
    """One result for each file, in order."""

    results: list[PredictedOne | Failed]
    model: str = Field(examples=[MODEL])


class EmbeddedOne(BaseModel):
    """A unit vector: the dot product of two of them is their images' similarity."""

    embedding: list[float]
    """Unit L2 norm."""


class Embedded(EmbeddedOne):
    """The same for one image alone."""

    dim: int = Field(examples=[64])
    model: str = Field(examples=[MODEL])


class EmbeddedBatch(BaseModel):
    """One result for each file, in order."""

    results: list[EmbeddedOne | Failed]
    dim: int = Field(examples=[64])
    model: str = Field(examples=[MODEL])


class NeighborFound(BaseModel):
    """One similar image."""

    id: str = Field(examples=["train-42"])
    label: str | None = Field(examples=["7"])
    """Name of its class; null where it has none."""
    label_source: LabelSource
    """`given`: it came with the image; `person`: somebody said it here; `predicted`: the model's own guess; or null."""
    source: Source
    score: float = Field(examples=[0.993])
    """Cosine similarity."""


class Found(BaseModel):
    """The most similar images, best first."""

    neighbors: list[NeighborFound]
    model: str = Field(examples=[MODEL])
    missing: int | None = Field(None, examples=[1200])
    """How many items were not searched, as another model made their vector; only where there are any."""


class Input(BaseModel):
    """What the model sees of a picture."""

    kind: str = Field(examples=["crop"])
    """How a picture is brought to this size: `crop` takes the middle, `stretch` all of it, `digit` looks for one."""
    height: int = Field(examples=[224])
    width: int = Field(examples=[224])
    channels: int = Field(examples=[3])
    """1 for gray, 3 for red, green and blue."""


class Measured(BaseModel):
    """A share of `n` cases, with its 95 % confidence interval."""

    value: float = Field(examples=[0.94])
    low: float = Field(examples=[0.91])
    high: float = Field(examples=[0.96])
    n: int = Field(examples=[400])


class Described(BaseModel):
    """The model that answers."""

    model: str = Field(examples=[MODEL])
    """`name@version`; every answer carries it."""
    created: str
    """UTC, ISO 8601."""
    knowledge: str = Field(examples=["none"])
    """What it holds besides what its images and labels taught it: `none`, or whose weights and what those saw."""
    classes: list[str] = Field(examples=[["cat", "dog"]])
    """Their names, in the order of `probabilities`; empty where there were no labels."""
    input: Input
    dim: int = Field(examples=[64])
    """Numbers of an embedding."""
    novelty_threshold: float = Field(examples=[0.77])
    """The `novelty` up to which an image is `known`."""
    metrics: dict[str, Measured]
    """How good it is."""
    protocol: str
    """How that was measured."""


class VectorQuery(BaseModel):
    """An embedding, as `/embed` gives it."""

    embedding: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=1, max_length=4096)]


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"]


class Ready(BaseModel):
    """The service takes images."""

    status: Literal["ready"]
    model: str
    provider: str
    """onnxruntime's execution provider."""


def documented(kinds: set[type[Failure]]) -> dict[int | str, dict[str, Any]]:
    """Status → how OpenAPI describes it, of these kinds of failures."""
    titles: dict[int, dict[str, None]] = {}
    for kind, problem in sorted(problems.PROBLEMS.items(), key=lambda one: one[1].status):
        if kind in kinds:
            titles.setdefault(problem.status, {})[problem.title] = None
    content = {PROBLEM: {"schema": Problem.model_json_schema()}}
    return {status: {"description": "; ".join(texts), "content": content} for status, texts in titles.items()}


PROBLEMS = documented(problems.PROBLEMS.keys() - problems.OF_ITEMS)
"""Of the routes that take images or vectors."""
BINARY = {"type": "string", "format": "binary"}


def _form(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "required": [field], "properties": {field: schema}}}


def _body(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "description": description, "content": content}}


IMAGE_BODY = _body(
    "One image: PNG, JPEG, WebP, BMP, GIF or TIFF; raw, or as the multipart field `file`.",
    {FORM: _form("file", BINARY), "image/*": {"schema": BINARY}, OCTETS: {"schema": BINARY}},
)
IMAGES_BODY = _body(
    "Up to 256 images, each a file in the multipart field `files`.",
    {FORM: _form("files", {"type": "array", "items": BINARY})},
)
VECTOR_BODY = _body("An embedding.", {JSON: {"schema": VectorQuery.model_json_schema()}})
