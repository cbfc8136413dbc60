"""Requests that create a stream."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from exvad.serving.schemas.streams import StreamRequest


def test_stream_request_requires_exactly_one_source() -> None:
    assert StreamRequest(url="rtsp://camera/door").path is None
    with pytest.raises(ValidationError, match="exactly one of path and url"):
        StreamRequest(url="rtsp://camera/door", path="door.ts")


def test_stream_request_takes_look_for_as_another_name_of_categories() -> None:
    theft = {"theft": ["a bag"]}
    request = StreamRequest.model_validate({"path": "door.ts", "look_for": theft})
    assert request.categories == theft
    assert request.model_dump()["categories"] == theft


def test_stream_request_refuses_an_alert_that_ends_above_its_begin() -> None:
    assert StreamRequest(path="door.ts", on=0.5, off=0.5).off == 0.5
    with pytest.raises(ValidationError, match="off is larger than on"):
        StreamRequest(path="door.ts", on=0.5, off=0.6)
