"""Endpoints for operators: health, readiness, models and metrics."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST

from exvad.serving.api.dependencies import CAN_READ, AnalysesDep, StreamsDep
from exvad.serving.api.metrics import render_metrics
from exvad.serving.api.problems import documented
from exvad.serving.schemas.operations import Health, ModelList

router = APIRouter(tags=["operations"])


@router.get("/healthz", operation_id="get_health")
def get_health(analyses: AnalysesDep) -> Health:
    """Return that the server responds, and how many analyses wait."""
    return Health(waiting=analyses.num_waiting())


@router.get("/readyz", operation_id="get_readiness", responses=documented(503))
def get_readiness(analyses: AnalysesDep) -> Health:
    """Return that a worker has loaded its model; 503 while there is none."""
    if not analyses.list_models():
        raise HTTPException(503, "no replica has loaded its model yet", {"Retry-After": "2"})
    return Health(waiting=analyses.num_waiting())


@router.get(
    "/v1/models",
    operation_id="list_models",
    dependencies=[CAN_READ],
    responses=documented(401, 403),
)
def list_models(analyses: AnalysesDep) -> ModelList:
    """List the workers that analyze videos, and their models."""
    return ModelList(items=analyses.list_models())


@router.get(
    "/metrics",
    operation_id="get_metrics",
    dependencies=[CAN_READ],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **documented(401, 403)},
)
def get_metrics(analyses: AnalysesDep, streams: StreamsDep) -> Response:
    """Return metrics in the text format of Prometheus."""
    metrics = render_metrics(
        analyses.read_counters(),
        analyses.num_waiting(),
        analyses.list_models(),
        streams.num_watched(),
    )
    return Response(metrics, media_type=CONTENT_TYPE_LATEST)
