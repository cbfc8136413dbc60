"""The page of a sweep shows every trial, and nothing that a trial contains as HTML."""

from __future__ import annotations

import re

from exvad.tuning.page import render_sweep
from exvad.tuning.records import TrialRecord
from exvad.tuning.space import Choice, Dimension, FloatRange

SPACE: dict[str, Dimension] = {
    "model.tau": FloatRange(type="float", low=0.0, high=1.0),
    "model.fusion": Choice(type="choice", values=["add", "concat"]),
}


def record(index: int) -> TrialRecord:
    parameters = {"model.tau": index / 20, "model.fusion": ["add", "concat"][index % 2]}
    return TrialRecord(parameters, {"best_val_auc": index / 20, "best_val_map": index / 20})


def test_page_shows_all_trials_and_escapes_what_they_contain() -> None:
    failed = TrialRecord({"model.tau": 1, "model.fusion": "add"}, {}, error="<out of memory>")
    records = [*map(record, range(20)), failed]
    page = render_sweep(records, [], SPACE, ["python a.py"], {"model.tau": 0.9}, "note")
    assert "&lt;out of memory&gt;" in page
    assert "20 usable, 0 stopped early, 1 failed" in page
    assert len(re.findall("<polyline", page)) == 20
    assert len(re.findall('circle class="dot auc"', page)) == 5 + 2
    assert len(re.findall('circle class="dot map"', page)) == 5 + 2
    assert "http" not in page.replace("http://www.w3.org", "")


def test_page_names_the_vertical_axis_above_its_highest_mark() -> None:
    page = render_sweep([*map(record, range(4))], [], SPACE, [], {}, "note")
    drawing = page[page.index("AUC against mAP") :]
    title = float(re.findall(r'y="([\d.]+)">video mAP', drawing)[0])
    marks = [float(y) for y in re.findall(r'<text x="42" y="([\d.]+)"', drawing.split("</svg>")[0])]
    assert min(marks) - title >= 16, "letters are 12 pixels high"
