"""Wiring only: settings → application. Nothing runs at import; the lifespan owns what runs."""

import gc
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, cast

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from models.manifest import INDEX, BundleError
from models.pictures.preparation import as_input, preparation
from serving import logs
from serving.batcher import DynamicBatcher
from serving.decoder import Decoder
from serving.errors import StoreFailure
from serving.heap import return_large_blocks
from serving.http import collection, items, overview, pages, routes, server
from serving.http.bodies import Bodies
from serving.http.connection import most_connections
from serving.http.front import DIRECT, DRAIN, KEYS, MOST
from serving.http.gate import Gate
from serving.http.keys import Keys, KeysError
from serving.http.passage import Drain
from serving.index.collection import Collection
from serving.index.group import Bounds
from serving.index.live import LiveIndex
from serving.index.memory import NeighborIndex
from serving.index.store import Store, open_store
from serving.index.thumbnails import Thumbnails
from serving.metrics import Metrics, forget_killed_workers, forget_worker, reserve_space
from serving.model import Model, load_model
from serving.quiet import mute_c_libraries
from serving.service import Service
from serving.sessions import ProviderError
from serving.settings import Settings
from serving.watchdog import end_process

logger = logging.getLogger("serving")

GC_THRESHOLD = 50_000
"""Allocations between two collections; at Python's 700 the requests under way set one off all the time."""
DESCRIPTION = "Predictions, embeddings and similar images, learnt from a few labels."


def create_app(settings: Settings, model: Model | None = None, index: NeighborIndex | None = None) -> FastAPI:
    """The service; `model` and `index` are loaded from the bundle unless both are given."""
    metrics = Metrics()
    keys = Keys(settings.api_keys_file) if settings.api_keys_file else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        loaded = load_bundle(settings) if model is None or index is None else (model, index)
        service = new_service(settings, metrics, *loaded)
        return_large_blocks()
        mute_c_libraries()
        await service.start()
        forget_killed_workers()
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be looked at again: shorter pauses
        gc.set_threshold(GC_THRESHOLD, 10, 10)
        yield {
            "service": service,
            "settings": settings,
            "metrics": metrics,
            "bodies": Bodies(settings),
            DIRECT: front_may_answer(app),
            MOST: most_connections(settings.max_connections),
            DRAIN: Drain(),
            KEYS: keys,
        }
        await service.stop()
        forget_worker()

    app = FastAPI(
        title="fewlabel",
        version=version("fewlabel"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name whatever host the client did
    )
    app.add_middleware(Gate, metrics=metrics, hosts=settings.hosts, keys=keys, local=settings.local)
    routes.install(app, items.router, collection.router, overview.router)
    pages.install(app, keys is not None)
    return app


def run_worker(settings: Settings, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """What each of several workers does."""
    logs.start(settings.log_format)
    try:
        model, index = load_bundle(settings)
        reserve_space()
        server.serve(create_app(settings, model, index), settings, listener, on_ready)
    except (BundleError, ProviderError, KeysError, StoreFailure, server.CannotListen, OSError) as error:
        sys.exit(str(error))


def front_may_answer(app: FastAPI) -> bool:
    """Whether no middleware but our own must see every request."""
    others = [middleware.cls for middleware in app.user_middleware if cast(object, middleware.cls) is not Gate]
    if others:
        names = ", ".join(getattr(other, "__name__", repr(other)) for other in others)
        logger.warning("every request takes the longer way, through added middleware: %s", names)
    return not others


def load_bundle(settings: Settings) -> tuple[Model, NeighborIndex]:
    """The bundle's model, warmed up, and its index; raises BundleError or ProviderError."""
    model = load_model(settings.model_dir, settings.provider, settings.inference_threads, settings.max_batch_size)
    preparation(model.input)  # raises where nothing makes such an input of pictures
    return model, NeighborIndex.load(settings.model_dir / INDEX, model.dim, model.class_names)


def new_service(settings: Settings, metrics: Metrics, model: Model, index: NeighborIndex) -> Service:
    """Decoder, model and index with their queues, not started yet."""
    metrics.set_model(model.name, model.provider)
    threadpool_limits(settings.inference_threads, user_api="blas")  # numpy's own threads would fight for the cores
    images = new_collection(settings, model, index)
    limits: dict[str, Any] = {
        "max_batch_size": settings.max_batch_size,
        "max_queue_size": settings.max_queue_size,
        "timeout_s": settings.request_timeout_s,
        "hang_timeout_s": settings.hang_timeout_s,
        "on_hang": partial(end_process, settings.hang_timeout_s),
    }
    return Service(
        model,
        Decoder(model.input, settings.max_image_pixels, settings.request_timeout_s, decoder_processes(settings)),
        DynamicBatcher(lambda pictures: model.run_batch(as_input(pictures)), on_batch=metrics.observe_batch, **limits),
        DynamicBatcher(images.live.search, on_batch=lambda *_: metrics.count_requests(), **limits),
        images,
    )


def new_collection(settings: Settings, model: Model, index: NeighborIndex) -> Collection:
    """The bundle's images, and the store of users' over them, to which nothing connects yet; raises StoreFailure."""
    return Collection(
        store_of(settings, model),
        LiveIndex(index, model.name, model.dim),
        Thumbnails(index.path, model.manifest.files.get(INDEX), index.ids),
        model.name,
        settings.request_timeout_s,
    )


def store_of(settings: Settings, model: Model) -> Store:
    """The store that is set; raises StoreFailure where what it needs is not installed."""
    bounds = Bounds(settings.index_max_items, settings.index_max_bytes)
    return open_store(settings.index.replace("{name}", model.manifest.name), bounds)


def decoder_processes(settings: Settings) -> int:
    """One a core, shared out between the workers."""
    return max(1, (os.cpu_count() or 1) // settings.workers)
