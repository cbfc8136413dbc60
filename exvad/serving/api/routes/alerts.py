"""Endpoints of a stream's alerts: triage them, and get their frames and clips."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Response
from fastapi.responses import StreamingResponse

from exvad.serving.api.dependencies import CAN_READ, CAN_SUBMIT, ContextDep, StreamsDep
from exvad.serving.api.problems import documented
from exvad.serving.recording.clip import AROUND_SECONDS, Clip
from exvad.serving.schemas.analyses import TriageRequest
from exvad.serving.schemas.streams import AlertStatus

AlertNumber = Annotated[int, Path(ge=1, le=2**53, description="number of the alert, from 1")]

router = APIRouter(
    prefix="/v1/streams/{stream_id}/alerts/{alert_number}",
    tags=["streams"],
    responses=documented(401, 403, 404, 422),
)


@router.patch(
    "",
    operation_id="update_alert",
    dependencies=[CAN_SUBMIT],
    responses=documented(400, 413),
)
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


@router.get(
    "/clip",
    operation_id="get_alert_clip",
    dependencies=[CAN_READ],
    response_class=StreamingResponse,
    responses={200: {"content": {"video/mp4": {}}}},
)
def get_alert_clip(
    stream_id: str,
    alert_number: AlertNumber,
    context: ContextDep,
    around: Annotated[
        float, Query(ge=0, le=60, description="seconds to show before and after the alert")
    ] = AROUND_SECONDS,
) -> StreamingResponse:
    """Return the recording of an alert as MP4, encoded as the camera sent it."""
    alert = context.streams.read_alert(stream_id, alert_number)
    if alert is None:
        raise HTTPException(404, f"stream {stream_id[:64]!r} has no alert {alert_number}")
    try:
        clip = Clip(context.settings.recordings / stream_id, alert.start, alert.end, around)
    except ValueError as error:
        raise HTTPException(404, f"there is no clip of alert {alert_number}: {error}") from None
    headers = {"Content-Length": str(clip.size), "Cache-Control": "no-cache"}
    return StreamingResponse(clip.read(), media_type="video/mp4", headers=headers)
