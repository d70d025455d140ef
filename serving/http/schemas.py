"""What answers look like: for the OpenAPI page and for readers; the routes build the JSON themselves."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from serving.http import problems
from serving.http.replies import PROBLEM


class Predicted(BaseModel):
    """A digit, with how sure the model is."""

    digit: int = Field(examples=[7])
    """The most probable digit."""
    confidence: float = Field(examples=[0.998])
    """Its probability, as if the image were surely a digit."""
    known: bool = Field(examples=[True])
    """Whether the image looks like a digit at all: `novelty` is at most the model's threshold."""
    novelty: float = Field(examples=[0.0001])
    """How surely it is no digit, from 0 to 1."""
    several: bool = Field(examples=[False])
    """Whether a picture of more than 48 pixels shows more that could be a digit; this one has the most ink."""
    probabilities: list[float]
    """Probability of each digit, 0 to 9; they sum to 1."""
    model: str = Field(examples=["digits@3f9c1a2b4d5e"])
    """`name@version` of the model that answered."""
    embedding: list[float] | None = None
    """Only with `?embedding=true`."""
    seen: str | None = None
    """Only with `?debug=true`: what the model saw, a PNG file as a data URI."""


class Embedded(BaseModel):
    """A unit vector: the dot product of two of them is their images' similarity."""

    embedding: list[float]
    """`dim` numbers with unit L2 norm."""
    dim: int = Field(examples=[64])
    model: str = Field(examples=["digits@3f9c1a2b4d5e"])


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
    """One image's digit, as in `Predicted`."""

    digit: int = Field(examples=[7])
    confidence: float = Field(examples=[0.998])
    known: bool = Field(examples=[True])
    novelty: float = Field(examples=[0.0001])
    several: bool = Field(examples=[False])
    probabilities: list[float]


class PredictedBatch(BaseModel):
    """One result for each file, in order."""

    results: list[PredictedOne | Failed]
    model: str = Field(examples=["digits@3f9c1a2b4d5e"])


class EmbeddedOne(BaseModel):
    """One image's unit vector."""

    embedding: list[float]


class EmbeddedBatch(BaseModel):
    """One result for each file, in order."""

    results: list[EmbeddedOne | Failed]
    dim: int = Field(examples=[64])
    model: str = Field(examples=["digits@3f9c1a2b4d5e"])


class NeighborFound(BaseModel):
    """One similar image."""

    id: str = Field(examples=["train-42"])
    label: int = Field(examples=[7])
    label_source: Literal["given", "predicted"]
    """`given`: a person's label; `predicted`: the model's own guess."""
    score: float = Field(examples=[0.993])
    """Cosine similarity."""


class Found(BaseModel):
    """The most similar images, best first."""

    neighbors: list[NeighborFound]
    model: str = Field(examples=["digits@3f9c1a2b4d5e"])


class VectorQuery(BaseModel):
    """An embedding, as `/embed` gives it."""

    embedding: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=1, max_length=4096)]


VECTOR = VectorQuery.model_json_schema()


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"]


class Ready(BaseModel):
    """The service takes images."""

    status: Literal["ready"]
    model: str
    provider: str
    """onnxruntime's execution provider."""


def _titles(status: int) -> str:
    return "; ".join(dict.fromkeys(problem.title for problem in problems.PROBLEMS.values() if problem.status == status))


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": _titles(status), "content": {PROBLEM: {"schema": Problem.model_json_schema()}}}
    for status in sorted({problem.status for problem in problems.PROBLEMS.values()})
}
IMAGE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One image: PNG, JPEG, WebP, BMP, GIF or TIFF; raw, or as the multipart field `file`.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
IMAGES_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Up to 256 images, each a file in the multipart field `files`.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}
