"""Records of videos: which frames are abnormal, and which are scored."""

from __future__ import annotations

from dataclasses import replace

from exvad.data.records import Event
from tests.helpers.manifests import make_video


def test_frame_events_are_the_spans_if_there_are_any() -> None:
    events = (Event(5, 9, "Fighting"), Event(0, 5, "Normal"))
    plain = make_video("a", "Fighting", "test", events=events)
    assert plain.frame_events() == [(5, 9, "Fighting")]
    assert plain.class_events() == [(5, 9, "Fighting"), (0, 5, "Normal")]
    other = replace(plain, spans=((6, 8),))
    assert other.frame_events() == [(6, 8, "Fighting")]
    assert other.class_events() == plain.class_events()


def test_scored_frames_follow_from_the_snippets_if_a_benchmark_fixes_them() -> None:
    assert make_video("a", num_frames=100).scored_frames == 100
    assert make_video("a", num_frames=100, snippets=5).scored_frames == 80
    assert make_video("a").scored_frames is None
