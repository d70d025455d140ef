"""What routes share: the running service, and work that ends when the client leaves."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Query, Request
from starlette.types import Receive

from serving.errors import MalformedRequest
from serving.http.bodies import Bodies
from serving.index.items import MAX_LABEL, Source, check_label
from serving.metrics import Metrics
from serving.service import Service
from serving.settings import Settings

T = TypeVar("T")


class State:
    """What the lifespan hands to each request."""

    service: Service
    settings: Settings
    bodies: Bodies
    metrics: Metrics


async def state(request: Request) -> State:
    """The running service's own."""
    return cast(State, request.state)


async def label_filter(
    label: Annotated[
        str | None, Query(max_length=MAX_LABEL, description="Only images with this label; empty: without one")
    ] = None,
) -> str | None:
    """Raises MalformedRequest for what is no label, nor empty."""
    check_label(label or None)
    return label


Running = Annotated[State, Depends(state)]
LabelFilter = Annotated[str | None, Depends(label_filter)]
SourceFilter = Annotated[
    Source | None, Query(description="Only images that came with the model, or only those that people sent")
]


def accepted(request: Request) -> str:
    """The kinds of answers that a client takes."""
    return ", ".join(request.headers.getlist("accept"))


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client leaves; its body must have been read."""
    task, left = asyncio.ensure_future(work), asyncio.ensure_future(client_leaves(request.receive))
    try:
        await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise MalformedRequest("the connection closed before the answer")
        return task.result()
    finally:
        task.cancel()
        left.cancel()


async def client_leaves(receive: Receive) -> None:
    """Returns when the connection of a request whose body has been read is closed."""
    while (await receive())["type"] != "http.disconnect":
        pass
