"""Endpoints of a stream's alerts: triage them, and get their frames."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Response

from exvad.serving.api.dependencies import CAN_READ, CAN_SUBMIT, StreamsDep
from exvad.serving.api.problems import documented
from exvad.serving.schemas.analyses import TriageRequest
from exvad.serving.schemas.streams import AlertStatus

AlertNumber = Annotated[int, Path(ge=1, le=2**53, description="number of the alert, from 1")]

router = APIRouter(
    prefix="/v1/streams/{stream_id}/alerts/{alert_number}",
    tags=["streams"],
    responses=documented(401, 403, 404, 422),
)


@router.patch("", operation_id="update_alert", dependencies=[CAN_SUBMIT], responses=documented(400))
def update_alert(
    stream_id: str, alert_number: AlertNumber, update: TriageRequest, streams: StreamsDep
) -> AlertStatus:
    """Store what a person decided about an alert."""
    streams.set_triage(stream_id, alert_number, update.triage)
    alert = streams.read_alert(stream_id, alert_number)
    if alert is None:
        raise HTTPException(404, f"stream {stream_id[:64]!r} has no alert {alert_number}")
    return alert


@router.get(
    "/frame",
    operation_id="get_alert_frame",
    dependencies=[CAN_READ],
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
def get_alert_frame(stream_id: str, alert_number: AlertNumber, streams: StreamsDep) -> Response:
    """Return the frame with the highest score of an alert as JPEG."""
    frame = streams.read_frame(stream_id, alert_number)
    if frame is None:
        raise HTTPException(
            404, f"there is no frame of alert {alert_number} of stream {stream_id[:64]!r}"
        )
    return Response(frame, media_type="image/jpeg", headers={"Cache-Control": "no-cache"})
