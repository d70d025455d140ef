"""Routes to the index as a map, and to labels worth a second look."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from serving.http import item_schemas as schemas
from serving.http.answers import to_json
from serving.http.pieces import whole
from serving.http.running import Running, unless_left
from serving.http.schemas import MODEL, LabelSource, Source
from serving.index.overview import Map

MAX_DOUBTS = 200
DECIMALS = 4
"""Of a place: a ten-thousandth of half the map."""
router = APIRouter(prefix="/index", tags=["index"])


class Mapped(BaseModel):
    """Images and where they lie on a map, as lists of one length: those that are alike lie together."""

    ids: list[str]
    x: list[float]
    """Nearly all from -1 to 1."""
    y: list[float]
    """Likewise, upwards."""
    labels: list[str | None]
    label_sources: list[LabelSource]
    sources: list[Source]
    total: int = Field(examples=[10_000])
    """Images in the index; of more than 20,000 only some are on the map."""
    model: str = Field(examples=[MODEL])


class Doubted(BaseModel):
    """An image whose label the images around it contradict."""

    id: str = Field(examples=["cats/42.jpg"])
    label: str = Field(examples=["cat"])
    label_source: LabelSource
    source: Source
    suggested: str = Field(examples=["dog"])
    """What most of the labelled images around it are."""


class Doubts(BaseModel):
    """Labels to look at again, the most surely contradicted first."""

    items: list[Doubted]
    model: str = Field(examples=[MODEL])


@router.get("/map", response_model=Mapped, responses=schemas.READING)
async def index_map(request: Request, running: Running) -> Response:
    """The index as a map of two dimensions, computed once and kept."""
    found = await unless_left(request, running.service.index.overview.map())
    return whole(_written(found, running.service.model.name), running.bodies)


def _written(found: Map, model: str) -> bytes:
    x, y = np.ascontiguousarray(found.places.T.round(DECIMALS))
    fields = {
        "ids": found.ids,
        "x": x,
        "y": y,
        "labels": found.labels,
        "label_sources": found.label_sources,
        "sources": ["user" if user else "bundle" for user in found.users.tolist()],
        "total": found.total,
        "model": model,
    }
    return to_json(fields)


@router.get("/doubtful", response_model=Doubts, responses=schemas.READING)
async def doubtful(
    request: Request, running: Running, n: Annotated[int, Query(ge=1, le=MAX_DOUBTS, description="How many")] = 20
) -> Response:
    """Labels that people gave and that the labelled images around contradict."""
    found = await unless_left(request, running.service.index.overview.doubtful(n))
    fields = {"items": [one._asdict() for one in found], "model": running.service.model.name}
    return whole(to_json(fields), running.bodies)
