"""Summary metrics are those of an evaluation without nesting."""

from __future__ import annotations

from exvad.evaluation.experiment import SUMMARY_NAMES, summary_metrics

METRICS = dict.fromkeys(SUMMARY_NAMES, 0.5)


def test_summary_metrics_flatten_map_by_protocol_and_iou() -> None:
    by_iou = {"strict": {"0.1": 40.0, "average": 30.0}, "vadclip": {"0.1": 20.0, "average": 10.0}}
    assert summary_metrics({**METRICS, "map": by_iou, "videos": 7}) == {
        **METRICS,
        "map_strict_0.1": 40.0,
        "map_strict_average": 30.0,
        "map_vadclip_0.1": 20.0,
        "map_vadclip_average": 10.0,
    }


def test_summary_metrics_without_event_times_have_no_map() -> None:
    summary = summary_metrics({**METRICS, "map": None})
    assert summary == {**METRICS, "map_strict_average": None, "map_vadclip_average": None}
