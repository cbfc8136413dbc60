"""Records of trials: ranked, and the Pareto front among them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exvad.config import load_config
from exvad.tuning.importance import importances
from exvad.tuning.page import render
from exvad.tuning.search import Record, best_first, pareto_front, sweep_folder
from exvad.tuning.space import Choice, Dimension, FloatRange, IntRange, grid_space


def record(auc: float, precision: float, **parameters: object) -> Record:
    return Record(parameters, {"best_val_auc": auc, "best_val_map": precision})


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_nobody_beats_the_front_and_the_front_beats_the_rest(
    values: list[tuple[float, float]],
) -> None:
    records = [record(*pair) for pair in values]
    front = [tuple(each.figures.values()) for each in pareto_front(records)]
    assert best_first(records)[0].score == max(sum(pair) / 2 for pair in values)

    def beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return a != b and all(x >= y for x, y in zip(a, b, strict=True))

    for pair in values:
        assert (pair in front) != any(beats(other, pair) for other in values)


def test_a_failed_trial_is_never_the_best() -> None:
    failed = Record({}, {"best_val_auc": 1.0, "best_val_map": 1.0}, error="out of memory")
    good = record(0.5, 0.5)
    assert best_first([failed, good, Record({}, {})]) == [good]


def test_sweeps_are_numbered_and_the_newest_is_resumed(tmp_path: Path) -> None:
    config = load_config("demo", [f"run={tmp_path}"])
    with pytest.raises(ValueError, match="no sweep"):
        sweep_folder(config, resume=True)
    for number in range(1, 12):
        folder = sweep_folder(config, resume=False)
        assert folder.name == f"sweep{number}"
        folder.mkdir()
    assert sweep_folder(config, resume=True).name == "sweep11"


def test_a_grid_holds_the_ends_of_every_range() -> None:
    grid = grid_space(
        {
            "a": FloatRange(type="float", low=0.01, high=1, log=True),
            "b": IntRange(type="int", low=1, high=2),
            "c": Choice(type="choice", values=["x", "y"]),
        }
    )
    assert grid["a"]["grid_search"] == pytest.approx([0.01, 0.1, 1])
    assert grid["b"]["grid_search"] == [1, 2]
    assert grid["c"]["grid_search"] == ["x", "y"]


def test_the_setting_that_decides_is_found_important_and_the_page_shows_all() -> None:
    space: dict[str, Dimension] = {
        "model.tau": FloatRange(type="float", low=0.0, high=1.0),
        "model.fusion": Choice(type="choice", values=["add", "concat"]),
    }
    records = [
        record(n / 20, n / 20, **{"model.tau": n / 20, "model.fusion": ["add", "concat"][n % 2]})
        for n in range(20)
    ]
    found = importances(records, space)
    assert found["model.tau"] > 0.8
    assert importances(records[:2], space) == {}
    failed = Record({"model.tau": 1, "model.fusion": "add"}, {}, error="<out of memory>")
    page = render([*records, failed], [], space, ["python a.py"], found, "note")
    assert "&lt;out of memory&gt;" in page
    assert "20 usable, 0 stopped early, 1 failed" in page
    assert len(re.findall("<polyline", page)) == 20
    assert len(re.findall('circle class="dot auc"', page)) == 5 + 2
    assert len(re.findall('circle class="dot map"', page)) == 5 + 2
    assert "http" not in page.replace("http://www.w3.org", "")
