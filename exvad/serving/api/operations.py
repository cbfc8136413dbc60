"""Routes for those who run the server: health, readiness, models, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Depends, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST

from exvad.serving.api.context import Context
from exvad.serving.api.metrics import exposition
from exvad.serving.api.problems import problems
from exvad.serving.schemas.analyses import Health, ModelList


def service_routes(context: Context) -> APIRouter:
    """Return the routes.

    Args:
        context: what the routes share.
    """
    routes, queue = APIRouter(), context.queue
    reads = Depends(context.keys.require("read"))

    @routes.get("/healthz", operation_id="health")
    def health() -> Health:
        """Say that the server works and how much waits."""
        return Health(waiting=queue.waiting())

    @routes.get("/readyz", operation_id="ready", responses=problems(503))
    def ready() -> Health:
        """Say that a model is loaded and takes work; 503 while there is none."""
        if not queue.workers():
            raise HTTPException(503, "no replica has its models loaded yet", {"Retry-After": "2"})
        return Health(waiting=queue.waiting())

    @routes.get(
        "/v1/models", operation_id="models", dependencies=[reads], responses=problems(401, 403)
    )
    def models() -> ModelList:
        """List the replicas that analyze, and with which models."""
        return ModelList(items=queue.workers())

    @routes.get(
        "/metrics",
        operation_id="metrics",
        dependencies=[reads],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **problems(401, 403)},
    )
    def metrics() -> Response:
        """Tell Prometheus how much came, went and waits, and who works."""
        watched = context.streams.watched()
        text = exposition(queue.counts(), queue.waiting(), queue.workers(), watched)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return routes
