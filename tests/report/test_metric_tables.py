"""Metrics of a run become stats, tables and confusion rows."""

from __future__ import annotations

import pytest

from exvad.report.metric_tables import (
    confusion_rows,
    map_table,
    step_durations,
    summary_stats,
    variants_table,
)
from tests.helpers.report_cases import CLASSES, SUMMARY


def test_confusion_rows_are_shares_of_the_true_class() -> None:
    rows = confusion_rows(SUMMARY["confusion"], CLASSES)
    assert rows[0].cells[3] == (1, 0.1)
    assert [row.correct for row in rows] == [0.9, 0.8, 5 / 6, None]
    with pytest.raises(ValueError, match="4 classes"):
        confusion_rows([[1, 2], [3, 4]], CLASSES)


def test_summary_stats_skip_metrics_that_are_missing_or_not_finite() -> None:
    stats = summary_stats({"frame_auc": float("nan"), "frame_ap": None, "videos": 3})
    assert [(stat.name, stat.value) for stat in stats] == [("Videos", "3")]


def test_variants_table_gives_changes_from_frames_alone_and_the_best_values() -> None:
    in_file_order = dict(sorted(SUMMARY["variants"].items()))
    table = variants_table({"variants": in_file_order})
    assert table is not None
    assert table.columns == ["Frame AUC", "Event mAP, strict"]
    first, second = table.rows
    assert first.name == "Frames alone"
    assert [(cell.value, cell.change, cell.best) for cell in first.cells] == [
        ("90.1", "", False),
        ("28.4", "", False),
    ]
    assert [(cell.value, cell.change, cell.best) for cell in second.cells] == [
        ("93.1", "+3.0", True),
        ("35.2", "+6.8", True),
    ]
    assert variants_table({}) is None


def test_map_table_has_a_row_per_protocol_and_a_column_per_threshold() -> None:
    table = map_table({"map": {**SUMMARY["map"], "vadclip": {"0.1": 41.0}}})
    assert table is not None
    assert table.columns == ["10\u202f%", "50\u202f%", "Average"]
    assert [cell.value for cell in table.rows[1].cells] == ["41.0", "–", "–"]
    assert map_table({"map": None}) is None


def test_step_durations_are_relative_to_the_longest_step() -> None:
    steps = step_durations(SUMMARY)
    assert [step.name for step in steps] == ["Preprocess the videos", "Train"]
    assert [step.width for step in steps] == [100.0, pytest.approx(67.6)]
