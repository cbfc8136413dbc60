"""The search space is checked before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.tuning.space import Choice, FloatRange, IntRange, corners, read_space

SHIPPED = Path(__file__).resolve().parents[2] / "exvad/assets/search_space.yaml"


def test_the_shipped_space_fits_the_demo() -> None:
    space = read_space(SHIPPED, "demo")
    assert isinstance(space["labels.k"], IntRange)
    assert isinstance(space["model.tau"], FloatRange)
    assert isinstance(space["model.fusion"], Choice)
    assert corners(space["labels.k"]) == [1, 8]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model.tauu: {type: float, low: 1, high: 2}", "did you mean tau"),
        ("model.tau: {type: float, low: 2, high: 1}", "low must lie below high"),
        ("model.tau: {type: float, low: 0, high: 1, log: true}", "above 0"),
        ("model.tau: {type: normal, low: 0, high: 1}", "normal"),
        ("model.fusion: {type: choice, values: [concat, multiply]}", "multiply"),
        ("", "maps settings"),
        ("[model.tau]", "maps settings"),
        ("model.tau: [", "not YAML"),
    ],
)
def test_a_space_that_cannot_work_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_space(file, "demo")


def test_a_missing_space_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.yaml"):
        read_space(tmp_path / "gone.yaml", "demo")
