"""Plans of ablations: read, checked, written as tables and curves."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from exvad.config import load_config
from exvad.evaluation.ablation_plan import cell_name, make_tables, read_plan
from exvad.evaluation.paper_tables import Figures, as_markdown
from exvad.evaluation.sensitivity_curves import draw_curves
from exvad.pipeline.ablate import cell_config, result_path


def test_the_papers_plan_names_settings_that_exist() -> None:
    plan = read_plan(None)
    config = load_config("demo")
    cells = list(plan.cells())
    assert len({cell_name(settings) for settings in cells}) == len(cells)
    paths = {result_path(cell_config(config, settings, 0), "data") for settings in cells}
    # The preset's own values come back under several names: trained once all the same.
    assert 10 < len(paths) <= len(cells)
    assert result_path(cell_config(config, cells[0], 0), "other data") not in paths


def test_tables_and_curves_hold_every_row() -> None:
    plan = read_plan(None)
    names = ("0.1", "0.2", "0.3", "0.4", "0.5", "average")
    figures: Figures = {
        "frame_auc": 0.91,
        "frame_ap": 0.5,
        **{f"map_strict_{name}": 40.0 for name in names},
    }
    results: dict[str, list[Figures]] = {
        cell_name(settings): [figures, {**figures, "frame_auc": 0.93}] for settings in plan.cells()
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
    (curve, drawing), *_ = draw_curves(plan, results, "strict")
    root = ET.fromstring(drawing)
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    assert len(circles) == len(curve.values) * len(curve.figures)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tables: [{title: t, figures: [], rows: {a: {}}}]", "figures"),
        ("tables: [{title: t, figures: [frame_auc], rows: {a: {}}, x: 1}]", "x"),
        ("tables: [{title: t, figures: [a], rows: {r: {}}, quoted: {s: [1]}}]", "one of the rows"),
        ("]", "not YAML"),
    ],
)
def test_a_bad_plan_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_plan(tmp_path / "plan.yaml")


def test_a_setting_or_figure_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.windw"):
        cell_config(load_config("demo"), {"model.windw": 4}, 0)
    path = tmp_path / "plan.yaml"
    path.write_text("tables: [{title: t, figures: [frame_acu], rows: {a: {labels.k: 1}}}]")
    plan = read_plan(path)
    with pytest.raises(ValueError, match="frame_acu"):
        make_tables(plan, {"labels.k=1": [{"frame_auc": 0.5}]}, "strict", "val")
