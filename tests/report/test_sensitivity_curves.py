"""Sensitivity curves have one panel per metric and one point per value."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from exvad.evaluation.ablation_plan import Plan, PlannedCurve, cell_name
from exvad.evaluation.scored import Metrics
from exvad.report.sensitivity_curves import draw_curves

CURVE = PlannedCurve(
    title="Phrases < all", setting="labels.k", values=[0, 4], metrics=["frame_auc", "map_average"]
)


def draw(results: list[list[Metrics]]) -> ET.Element:
    """Draw the curve from the results of each value of the setting."""
    cells = {cell_name(row): runs for row, runs in zip(CURVE.rows.values(), results, strict=True)}
    ((curve, drawing),) = draw_curves(Plan(curves=[CURVE]), cells, "strict")
    assert curve == CURVE
    return ET.fromstring(drawing)


def texts(root: ET.Element, tag: str) -> list[str | None]:
    return [element.text for element in root.iter() if element.tag.endswith(tag)]


def test_draw_curves_draws_a_panel_per_metric_and_a_point_per_value() -> None:
    runs: list[list[Metrics]] = [
        [{"frame_auc": 0.9, "map_strict_average": 40.0}],
        [
            {"frame_auc": 0.91, "map_strict_average": 41.0},
            {"frame_auc": 0.93, "map_strict_average": 43.0},
        ],
    ]
    root = draw(runs)
    assert texts(root, "circle") == [None] * 4
    titles = texts(root, "title")
    assert titles == ["Phrases < all", "90.00", "92.00 ± 1.41", "40.00", "42.00 ± 1.41"]
    assert "labels.k" in texts(root, "text")


def test_draw_curves_says_that_a_metric_was_not_measured() -> None:
    root = draw([[{"frame_auc": 0.9, "map_strict_average": None}]] * 2)
    assert len(texts(root, "circle")) == 2
    assert "not measured" in texts(root, "text")
