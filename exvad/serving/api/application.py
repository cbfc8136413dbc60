"""The HTTP API, version 1: a FastAPI application over the queue; knows neither Ray nor models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from exvad.serving.api.analyses import analysis_routes
from exvad.serving.api.context import Context
from exvad.serving.api.evidence import evidence_routes
from exvad.serving.api.headers import SecurityHeaders
from exvad.serving.api.limits import LimitedBodies
from exvad.serving.api.operations import service_routes
from exvad.serving.api.problems import KIND, answer_with_problems
from exvad.serving.api.reference import ASSETS, asset_files, reference_routes
from exvad.serving.api.session import session_routes
from exvad.serving.api.streams import stream_routes
from exvad.serving.api.submission import submission_routes
from exvad.serving.schemas.analyses import Problem
from exvad.serving.settings import ServerSettings

PAGE = Path(__file__).parents[1] / "page"


def create_api(settings: ServerSettings) -> FastAPI:
    """Build the application.

    Args:
        settings: where things are kept and what is let in.
    """
    context = Context(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        context.decoder.close()

    api = FastAPI(
        title="exvad",
        version="1",
        summary="When something abnormal happened, what it was, and why.",
        lifespan=lifespan,
        docs_url=None,  # see `reference_routes`
        redoc_url=None,
        responses={"4XX": {"model": Problem, "content": {KIND: {}}}},
    )

    api.add_middleware(SecurityHeaders)
    api.add_middleware(LimitedBodies)
    for routes in (
        service_routes,
        session_routes,
        submission_routes,
        analysis_routes,
        evidence_routes,
        stream_routes,
        reference_routes,
    ):
        api.include_router(routes(context))
    answer_with_problems(api)
    api.mount(ASSETS, asset_files())
    api.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return api
