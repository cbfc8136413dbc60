"""Events beyond the end of videos are named when their length is known."""

from __future__ import annotations

from pathlib import Path

from exvad.data.records import Event, TimedEvent
from exvad.store.event_ends import events_beyond_the_end
from exvad.store.store import Store
from tests.helpers.feature_store import FINGERPRINT, add_vision, vision_row
from tests.helpers.manifests import make_video


def test_events_beyond_the_end_are_named_by_video(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("a", "b", "c", "quiet"):
        add_vision(store, name, (4, 2))
    (row,) = store.read_stage("vision").table(["num_frames", "fps"], ["quiet"]).to_pylist()[:1]
    frames, fps = row["num_frames"], row["fps"]
    videos = [
        make_video("c", "Fighting", events=(Event(0, frames, "Fighting"),)),
        make_video("b", "Fighting", events=(Event(5000, 6000, "Fighting"),)),
        make_video("a", "Fighting", timed_events=(TimedEvent(0.0, 9000 / fps, "Fighting"),)),
        make_video("quiet"),
        make_video("not stored", "Fighting", events=(Event(5000, 6000, "Fighting"),)),
    ]
    assert events_beyond_the_end(videos, store) == [
        f"a: Fighting:0-9000 ends after the last of {frames} frames",
        f"b: Fighting:5000-6000 begins after the last of {frames} frames",
    ]
    assert events_beyond_the_end(videos[3:4], store) == []


def test_an_event_behind_a_gap_is_not_beyond_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path)
    clock = [32.0, 3.2, 32.0, 603.2, 64.0, 606.4]
    row = vision_row("a", num_frames=64, fps=10.0, clock=clock)
    store.stage("vision", FINGERPRINT).append([row])
    event = TimedEvent(604.0, 606.0, "Fighting")
    videos = [make_video("a", "Fighting", timed_events=(event,))]
    assert events_beyond_the_end(videos, store) == []
