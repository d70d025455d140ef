"""Wiring only: settings → application. Nothing runs at import; the lifespan owns what runs."""

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from models.manifest import INDEX
from serving import errors
from serving.batcher import DynamicBatcher
from serving.decoder import Decoder
from serving.http.answers import Services
from serving.http.gate import RequestContext
from serving.http.routes import router
from serving.index.memory import NeighborIndex
from serving.metrics import Metrics, forget_killed_workers, forget_worker
from serving.model import Model, Prediction, load_model
from serving.settings import Settings

GC_THRESHOLD = 50_000
"""How many objects more set off a collection; at Python's 700 the requests under way do so all the time."""
ASSETS = Path(__file__).parent / "http" / "web"
DESCRIPTION = "Digit predictions, embeddings and similar images, learnt from a few labels."


def create_app(settings: Settings, model: Model | None = None, index: NeighborIndex | None = None) -> FastAPI:
    """The service; `model` and `index` are loaded from the bundle unless given."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services = deps = open_services(settings, metrics, model, index)
        deps.batcher.start()
        deps.searcher.start()
        forget_killed_workers()
        Image.init()  # all of Pillow's decoders now, not while somebody waits
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be looked at again: shorter pauses
        gc.set_threshold(GC_THRESHOLD, 10, 10)
        yield
        await deps.batcher.stop()
        await deps.searcher.stop()
        deps.decoder.close()
        forget_worker()

    app = FastAPI(
        title="fewlabel",
        version=version("fewlabel"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(router)
    errors.install(app)
    app.add_middleware(RequestContext, metrics=metrics)
    add_docs(app)
    return app


def create_app_from_environment() -> FastAPI:
    """What each of several workers calls."""
    return create_app(Settings())


def open_services(settings: Settings, metrics: Metrics, model: Model | None, index: NeighborIndex | None) -> Services:
    """Loads what is not given; raises BundleError or ProviderError."""
    model = model or load_model(
        settings.model_dir, settings.provider, settings.inference_threads, settings.max_batch_size
    )
    metrics.set_model(model.name, model.provider)
    index = NeighborIndex.load(settings.model_dir / INDEX, model.dim) if index is None else index
    threadpool_limits(settings.inference_threads, user_api="blas")  # numpy's own threads would fight for the cores
    return Services(
        settings=settings,
        model=model,
        batcher=DynamicBatcher(
            partial(run_each, model),
            max_batch_size=settings.max_batch_size,
            max_queue_size=settings.max_queue_size,
            timeout_s=settings.request_timeout_s,
            on_batch=metrics.observe_batch,
        ),
        searcher=DynamicBatcher(
            index.search,
            max_batch_size=settings.max_batch_size,
            max_queue_size=settings.max_queue_size,
            timeout_s=settings.request_timeout_s,
            on_batch=lambda *_: metrics.count_requests(),
        ),
        decoder=Decoder(settings.max_image_pixels),
        metrics=metrics,
    )


def run_each(model: Model, images: Sequence[NDArray[np.uint8]]) -> list[Prediction]:
    """(28, 28) uint8 images, one each → one call of the model."""
    return model.run_batch(np.array(images)[:, None])


def add_docs(app: FastAPI) -> None:
    """The OpenAPI page with its own assets: it works without internet."""
    app.mount("/docs/assets", StaticFiles(directory=ASSETS), name="assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="fewlabel",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon-32x32.png",
        )
