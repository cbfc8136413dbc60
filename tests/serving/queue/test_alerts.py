"""An alert keeps its explanation and its frame, and does not begin again after its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exvad.results import Explanation
from exvad.results.live import LiveAlert
from exvad.serving.queue.alerts import publish_alert, read_alert, read_frame, store_frame
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.schemas.streams import AlertStatus, StreamOptions, StreamSource

ALERT = LiveAlert(number=1, state="began", start=1, end=2, label="Arson", peak=0.9)
EXPLANATION = Explanation(
    anomalous=True, category="Arson", summary="a bin burns.", reason="fire.", evidence=[1]
)


@pytest.fixture
def streams(tmp_path: Path) -> StreamQueue:
    return StreamQueue(tmp_path / "queue.sqlite")


@pytest.fixture
def stream_id(streams: StreamQueue) -> str:
    return streams.add("door", StreamSource(path="door.ts"), StreamOptions())


def publish(streams: StreamQueue, stream_id: str, **update: object) -> AlertStatus | None:
    with streams.write() as connection:
        publish_alert(connection, stream_id, ALERT.model_copy(update=update), None)
        return read_alert(connection, stream_id, ALERT.number)


def test_publish_alert_keeps_the_explanation_of_an_earlier_state(
    streams: StreamQueue, stream_id: str
) -> None:
    publish(streams, stream_id)
    publish(streams, stream_id, state="explained", explanation=EXPLANATION, captions=["a fire"])
    alert = publish(streams, stream_id, state="lasted", end=9.0)
    assert alert is not None
    assert (alert.state, alert.end) == ("lasted", 9.0)
    assert (alert.explanation, alert.captions) == (EXPLANATION, ["a fire"])


def test_publish_alert_says_whether_the_explanation_contradicts_the_class(
    streams: StreamQueue, stream_id: str
) -> None:
    other = EXPLANATION.model_copy(update={"category": "Robbery"})
    publish(streams, stream_id, label="Arson")
    alert = publish(streams, stream_id, label="Arson", state="explained", explanation=other)
    assert alert is not None
    assert alert.disagreement == "The explanation names robbery, not arson."
    # A later class of the alert may be the one that the explanation names.
    alert = publish(streams, stream_id, label="Robbery", state="changed")
    assert alert is not None
    assert alert.disagreement == ""


def test_publish_alert_does_not_reopen_an_ended_alert(streams: StreamQueue, stream_id: str) -> None:
    publish(streams, stream_id, state="ended", end=5.0)
    alert = publish(streams, stream_id, state="explained", explanation=EXPLANATION)
    assert alert is not None
    assert (alert.state, alert.end) == ("ended", 5.0)
    assert alert.explanation == EXPLANATION
    (_, _, data) = streams.read_events(stream_id)[-1]
    assert json.loads(data)["state"] == "ended"


def test_publish_alert_of_a_deleted_stream_stores_nothing(
    streams: StreamQueue, stream_id: str
) -> None:
    streams.delete(stream_id)
    assert publish(streams, stream_id) is None
    assert streams.read_events(stream_id) == []


def test_store_frame_needs_a_published_alert(streams: StreamQueue, stream_id: str) -> None:
    with streams.write() as connection:
        assert not store_frame(connection, stream_id, 1, b"jpeg")
    publish(streams, stream_id)
    with streams.write() as connection:
        assert read_frame(connection, stream_id, 1) is None
        assert store_frame(connection, stream_id, 1, b"jpeg")
        assert read_frame(connection, stream_id, 1) == b"jpeg"


def test_an_alert_that_is_placed_after_its_end_does_not_end_twice(
    streams: StreamQueue, stream_id: str
) -> None:
    publish(streams, stream_id, state="ended", end=5.0)
    alert = publish(streams, stream_id, state="placed", start=0.5, end=4.0)
    assert alert is not None
    assert (alert.state, alert.start, alert.end) == ("ended", 0.5, 4.0)
    states = [json.loads(data)["state"] for _, _, data in streams.read_events(stream_id)]
    assert states == ["ended", "placed"]
