"""Routes to the index's items: people's own images, and labels of any."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote, unquote_to_bytes

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import ValidationError

from serving.errors import MalformedRequest
from serving.http import item_schemas as schemas
from serving.http.answers import Fields, to_json
from serving.http.gate import as_response
from serving.http.pieces import SAFELY, picture, whole
from serving.http.replies import Reply
from serving.http.running import LabelFilter, Running, SourceFilter, unless_left
from serving.http.uploads import one_item, unpacked
from serving.index.collection import Shown
from serving.index.items import MAX_LABEL, check_id, check_label, check_metadata

MAX_LABEL_BODY = 16_384
"""Bytes of the JSON that sets a label: every character may be written as twelve."""
MAX_PAGE = 1000
"""Items in one answer."""
CREATED = 201


async def utf8(request: Request) -> None:
    """Raises MalformedRequest where a query is no UTF-8: frameworks put U+FFFD there, and two labels become one."""
    try:
        unquote_to_bytes(request.scope["query_string"]).decode()
    except UnicodeDecodeError:
        raise MalformedRequest("the query is no valid UTF-8") from None


async def item_id(
    request: Request, _: Annotated[str, Path(alias="id", description="1 to 255 characters, like the path of a file")]
) -> str:
    """The id in the request's path, as the client wrote it; raises MalformedRequest.

    The framework's own parameter has lost a line end behind it, and U+FFFD stands where it was no UTF-8.
    """
    try:
        path = unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError:
        raise MalformedRequest("the id is no valid UTF-8") from None
    own_id = path.split("/", 3)[3]  # behind /index/items/
    check_id(own_id)
    return own_id


def check_told(label: str | None) -> None:
    """A label that training reads from a table as it is; raises MalformedRequest."""
    check_label(label)
    if label is not None and (label != label.strip() or len(label.splitlines()) > 1):
        raise MalformedRequest("a label has one line, and no white space at its ends")


ItemId = Annotated[str, Depends(item_id)]
router = APIRouter(prefix="/index", tags=["index"], dependencies=[Depends(utf8)])


@router.put(
    "/items/{id:path}",
    response_model=schemas.Item,
    responses={CREATED: {"model": schemas.Item, "description": "New"}, **schemas.PUTTING},
    openapi_extra=schemas.ITEM_BODY,
)
async def put(
    request: Request,
    running: Running,
    own_id: ItemId,
    label: Annotated[str | None, Query(min_length=1, max_length=MAX_LABEL)] = None,
) -> Response:
    """Keeps an image, with a label if one is given, in the place of the one with this id if there is one.

    It is durable, and this process finds it, when this is answered; others find it within a second.
    """
    check_told(label)
    service = running.service
    await service.index.check_free(own_id)
    async with running.bodies.of(request) as body:
        image, metadata = await unpacked(one_item, body)
        check_metadata(metadata)
        shown, new = await unless_left(request, service.keep(own_id, image, label, metadata))
    location = (("location", f"/index/items/{quote(own_id)}"),) if new else ()
    return as_response(_one(shown, service.model.name)._replace(status=CREATED if new else 200, headers=location))


@router.get("/items/{id:path}", response_model=schemas.Item, responses=schemas.READING)
async def get(running: Running, own_id: ItemId) -> Response:
    """What is known of one image."""
    return as_response(_one(await running.service.index.get(own_id), running.service.model.name))


@router.patch(
    "/items/{id:path}", response_model=schemas.Item, responses=schemas.LABELLING, openapi_extra=schemas.LABEL_BODY
)
async def label(request: Request, running: Running, own_id: ItemId) -> Response:
    """Labels an image, one that came with the model too; null takes the label away."""
    async with running.bodies.of(request, MAX_LABEL_BODY) as body:
        try:
            told = schemas.Labelling.model_validate_json(body)
        except ValidationError as error:
            raise MalformedRequest(f'send {{"label": "…"}}, or null: {error.errors()[0]["msg"]}') from error
    check_told(told.label)
    return as_response(_one(await running.service.index.label(own_id, told.label), running.service.model.name))


@router.delete("/items/{id:path}", status_code=204, response_class=Response, responses=schemas.DELETING)
async def delete(running: Running, own_id: ItemId) -> Response:
    """Removes an image and its vector; of one that came with the model, the label that somebody gave it here."""
    await running.service.index.delete(own_id)
    return Response(status_code=204)


@router.get("/items", response_model=schemas.ItemsPage, responses=schemas.READING)
async def page(
    running: Running,
    label: LabelFilter,
    source: SourceFilter = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    cursor: Annotated[str | None, Query(max_length=2000, description="Of the page before")] = None,
) -> Response:
    """All images in the order of their ids, page by page."""
    after = "" if cursor is None else _behind(cursor)
    found = await running.service.index.page(limit + 1, after, label, source)
    further = _cursor(found[limit - 1].id) if len(found) > limit else None
    fields = {"items": list(map(_fields, found[:limit])), "cursor": further, "model": running.service.model.name}
    return whole(to_json(fields), running.bodies)


@router.get("/images/{id:path}", response_class=Response, responses=schemas.PICTURE)
async def image(running: Running, own_id: ItemId) -> Response:
    """The file that somebody sent, as it was."""
    return picture(await running.service.index.image(own_id), running.bodies)


@router.get("/thumbnails/{id:path}", response_class=Response, responses=schemas.PICTURE)
async def thumbnail(running: Running, own_id: ItemId) -> Response:
    """A small PNG file of what a model saw of an image."""
    content = await running.service.index.thumbnail(own_id)
    return as_response(Reply(content, "image/png", headers=tuple(SAFELY.items())))


def _one(shown: Shown, model: str) -> Reply:
    return Reply(to_json({**_fields(shown), "model": model}))


def _fields(shown: Shown) -> Fields:
    return {
        "id": shown.id,
        "label": shown.label,
        "label_source": shown.label_source,
        "source": shown.source,
        "metadata": orjson.Fragment(shown.metadata),
        "embedded_by": shown.embedded_by,
        "searched": shown.searched,
        "bytes": shown.size,
        "created": _time(shown.created),
        "changed": _time(shown.changed),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _cursor(own_id: str) -> str:
    return base64.urlsafe_b64encode(own_id.encode()).decode().rstrip("=")


def _behind(cursor: str) -> str:
    """The id in a cursor; raises MalformedRequest."""
    try:
        own_id = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise MalformedRequest("the cursor is none that an answer gave") from None
    check_id(own_id)
    return own_id
