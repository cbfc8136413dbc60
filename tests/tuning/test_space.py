"""The search space is validated before the search starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.config import load_config
from exvad.tuning.space import Choice, FloatRange, IntRange, extreme_values, grid_space, read_space

PACKAGED = Path(__file__).resolve().parents[2] / "exvad/assets/search_space.yaml"


def test_read_space_accepts_the_packaged_space_on_the_demo_preset() -> None:
    space = read_space(PACKAGED, load_config("demo"))
    assert isinstance(space["labels.k"], IntRange)
    assert isinstance(space["model.tau"], FloatRange)
    assert isinstance(space["model.fusion"], Choice)
    assert extreme_values(space["labels.k"]) == [1, 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.tauu: {type: float, low: 1, high: 2}", "did you mean tau"),
        ("model.tau: {type: float, low: 2, high: 1}", "low must lie below high"),
        ("model.tau: {type: float, low: 0, high: 1, log: true}", "above 0"),
        ("model.tau: {type: normal, low: 0, high: 1}", "normal"),
        ("model.fusion: {type: choice, values: [concat, multiply]}", "multiply"),
        ("labels.k: {type: int, low: 1.5, high: 4.7}", "low and high of an int must be whole"),
        ("labels.k: {type: int, low: 1, high: .inf}", "low and high of an int must be whole"),
        ("model.window: {type: float, low: 4, high: 8}", "model.window"),
        ("", "maps settings"),
        ("[model.tau]", "maps settings"),
        ("model.tau: [", "not YAML"),
    ],
)
def test_read_space_refuses_a_space_that_cannot_work(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"space\.yaml: .*{message}"):
        read_space(file, load_config("demo"))


def test_read_space_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.yaml"):
        read_space(tmp_path / "gone.yaml", load_config("demo"))


def test_grid_space_holds_both_ends_of_every_range() -> None:
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
