"""Ablation plans are read, checked, and written as tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.evaluation.ablation_plan import cell_name, check_plan, make_tables, read_plan
from exvad.evaluation.paper_tables import as_markdown
from exvad.evaluation.scored import Metrics


def test_cells_yields_every_variant_of_the_papers_plan_once() -> None:
    plan = read_plan(None)
    names = [cell_name(settings) for settings in plan.cells()]
    assert len(set(names)) == len(names) > 10
    rows = {cell_name(settings) for part in plan.parts for settings in part.rows.values()}
    assert set(names) == rows


def test_make_tables_has_every_row_of_tables_and_curves() -> None:
    plan = read_plan(None)
    names = ("0.1", "0.2", "0.3", "0.4", "0.5", "average")
    metrics: Metrics = {
        "frame_auc": 0.91,
        "frame_ap": 0.5,
        **{f"map_strict_{name}": 40.0 for name in names},
    }
    results: dict[str, list[Metrics]] = {
        cell_name(settings): [metrics, {**metrics, "frame_auc": 0.93}] for settings in plan.cells()
    }
    text = as_markdown(make_tables(plan, results, "strict", "val"))
    for part in plan.parts:
        assert part.title in text
        assert all(f"| {row} |" in text for row in part.rows)
    assert "92.00 ± 1.41" in text
    assert "| visual | 86.76 | – | quoted, Ex-VAD on UCF-Crime |" in text
    assert "| visual | 92.00 ± 1.41 | 50.00 ± 0.00 | measured, strict, 2 seeds |" in text
    assert "chosen on" not in text
    assert "chosen on the test" in as_markdown(make_tables(plan, results, "strict", "test"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tables: [{title: t, metrics: [], rows: {a: {}}}]", "metrics"),
        ("tables: [{title: t, metrics: [frame_auc], rows: {a: {}}, x: 1}]", "x"),
        ("tables: [{title: t, metrics: [a], rows: {r: {}}, quoted: {s: [1]}}]", "one of the rows"),
        ("]", "not YAML"),
    ],
)
def test_read_plan_refuses_a_wrong_plan(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_plan(tmp_path / "plan.yaml")


def test_make_tables_names_an_unknown_metric(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("tables: [{title: t, metrics: [frame_acu], rows: {a: {labels.k: 1}}}]")
    plan = read_plan(path)
    with pytest.raises(ValueError, match="frame_acu"):
        make_tables(plan, {"labels.k=1": [{"frame_auc": 0.5}]}, "strict", "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "no tables and no curves"),
        (
            "curves: [{title: t, setting: labels.k, values: [1], metrics: [map_0.7]}]",
            r"t: there is no metric map_0\.7: known are frame_auc",
        ),
        (
            "tables: [{title: t, metrics: [frame_auc], rows: {a: {data.stride: 8}}}]",
            r"t: data\.stride can't be compared",
        ),
    ],
)
def test_check_plan_refuses_what_can_not_be_measured_before_anything_is_trained(
    tmp_path: Path, text: str, message: str
) -> None:
    check_plan(read_plan(None))
    (tmp_path / "plan.yaml").write_text(text)
    plan = read_plan(tmp_path / "plan.yaml")
    with pytest.raises(ValueError, match=message):
        check_plan(plan)
