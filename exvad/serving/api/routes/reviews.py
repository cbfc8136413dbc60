"""Endpoints of reviews: what a person decided about the events of a video, and how many did."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException

from exvad.data.annotations.class_names import folded_name
from exvad.results import Analysis
from exvad.serving.api.analysis_status import read_status
from exvad.serving.api.context import Context
from exvad.serving.api.dependencies import CAN_READ, CAN_SUBMIT, ContextDep
from exvad.serving.api.labels import write_labels
from exvad.serving.api.problems import documented
from exvad.serving.queue.reviews import store_review
from exvad.serving.schemas.analyses import AnalysisStatus
from exvad.serving.schemas.reviews import Review, ReviewedEvent, ReviewSummary

TOLERANCE = 0.1  # seconds: players end a little later than the last frame

router = APIRouter(tags=["reviews"])


@router.get(
    "/v1/reviews",
    operation_id="get_reviews",
    dependencies=[CAN_READ],
    responses=documented(401, 403),
)
def get_reviews(context: ContextDep) -> ReviewSummary:
    """Return how many videos are reviewed, and which one is next."""
    return context.reviews.summary()


@router.put(
    "/v1/analyses/{analysis_id}/review",
    operation_id="review_analysis",
    dependencies=[CAN_SUBMIT],
    responses=documented(400, 401, 403, 404, 409, 413, 422, 500, 507),
)
def review_analysis(analysis_id: str, review: Review, context: ContextDep) -> AnalysisStatus:
    """Store what a person decided about the events of a video, in place of an earlier review.

    A review is complete once no event is open. It sets the triage, and if the server has a
    manifest, the video is in it from then on.
    """
    result = _read_result(context, analysis_id)
    for number, event in enumerate(review.events, 1):
        problem = _find_problem(event, result)
        if problem:
            raise HTTPException(422, f"event {number}: {problem}")
    store_review(context.analyses, analysis_id, review)
    write_labels(context)
    return read_status(context.analyses, analysis_id)


@router.delete(
    "/v1/analyses/{analysis_id}/review",
    operation_id="delete_review",
    dependencies=[CAN_SUBMIT],
    responses=documented(401, 403, 404, 409, 422, 500, 507),
)
def delete_review(analysis_id: str, context: ContextDep) -> AnalysisStatus:
    """Take the review of a video back, and its labels out of the manifest."""
    _read_result(context, analysis_id)
    store_review(context.analyses, analysis_id, None)
    write_labels(context)
    return read_status(context.analyses, analysis_id)


def _read_result(context: Context, analysis_id: str) -> Analysis:
    """Return the result of an analysis.

    Raises:
        HTTPException: 404 if there is no such analysis; 409 if it has no result.
    """
    status = read_status(context.analyses, analysis_id)
    if status.result is None:
        raise HTTPException(409, f"the analysis has no events to review: it is {status.state}")
    return status.result


def _find_problem(event: ReviewedEvent, result: Analysis) -> str:
    """Describe what is wrong with an event; empty if nothing is."""
    if event.end > result.duration + TOLERANCE:
        return f"it ends at {event.end:g} s, after the end of the video at {result.duration:g} s"
    if folded_name(event.label) == folded_name(result.classes[0]):
        return f"its class is {event.label}, the normal class: reject it instead"
    return ""
