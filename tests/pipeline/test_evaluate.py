"""The line that the evaluate job prints."""

from __future__ import annotations

from typing import Any

from exvad.pipeline.evaluate import summary_line

SUMMARY: dict[str, Any] = {
    "map": {"strict": {"average": 12.34}, "vadclip": {"average": 23.45}},
    "frame_auc": 0.9,
    "video_auc": 0.8,
    "class_accuracy": 0.75,
    "selected_on": "val",
    "videos": 10,
}


def test_summary_line_shows_metrics_with_their_intervals() -> None:
    intervals = {"frame_auc": (0.85, 0.95), "map_strict_average": (10.0, 15.0)}
    assert summary_line({**SUMMARY, "intervals": intervals}) == (
        "frame AUC 0.900 [0.850, 0.950], mAP strict 12.3 [10.0, 15.0], mAP vadclip 23.4, "
        "class accuracy 0.750 on 10 test videos"
    )


def test_summary_line_shows_whole_videos_where_no_events_are_known() -> None:
    line = summary_line({**SUMMARY, "map": None, "frame_auc": None})
    assert line == "video AUC 0.800, class accuracy 0.750 on 10 test videos"


def test_summary_line_names_undefined_metrics_and_a_selection_on_the_test_split() -> None:
    line = summary_line({**SUMMARY, "map": None, "video_auc": None, "selected_on": "test"})
    assert line.startswith("video AUC unknown")
    assert line.endswith("(epoch chosen on the test split)")
