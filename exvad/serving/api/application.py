"""The HTTP API, version 1: a FastAPI application over the queues, without Ray and models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from exvad.serving.api.context import Context
from exvad.serving.api.headers import SecurityHeaders
from exvad.serving.api.limits import BodySizeLimit
from exvad.serving.api.problems import EXCEPTION_HANDLERS, MEDIA_TYPE
from exvad.serving.api.public_address import BelowPath
from exvad.serving.api.routes import (
    alerts,
    analyses,
    evidence,
    operations,
    reference,
    reviews,
    session,
    streams,
    submission,
)
from exvad.serving.schemas.problems import Problem
from exvad.serving.settings import ServerSettings

PAGE = Path(__file__).parents[1] / "page"


def create_api(settings: ServerSettings) -> FastAPI:
    """Build the application.

    Args:
        settings: settings of the server.

    Raises:
        ValueError: the file of API keys can't be read, or the database has another version.
    """
    api = FastAPI(
        title="exvad",
        version="1",
        summary="Find abnormal events in videos: when they happened, what they were, and why.",
        lifespan=close_context,
        docs_url=None,  # `reference` serves the documentation without other hosts
        redoc_url=None,
        servers=[{"url": settings.public_url}] if settings.public_url else None,
        responses={"4XX": {"model": Problem, "content": {MEDIA_TYPE: {}}}},
        exception_handlers=EXCEPTION_HANDLERS,
    )
    context = Context(settings)
    api.state.context = context
    api.add_middleware(SecurityHeaders)
    api.add_middleware(BodySizeLimit)
    api.add_middleware(BelowPath, path=context.address.path)
    for module in (
        operations,
        session,
        submission,
        analyses,
        evidence,
        reviews,
        streams,
        alerts,
        reference,
    ):
        api.include_router(module.router)
    api.mount(reference.ASSETS, reference.asset_files())
    api.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return api


@asynccontextmanager
async def close_context(api: FastAPI) -> AsyncIterator[None]:
    """Close the shared objects of the application when it stops."""
    yield
    api.state.context.close()
