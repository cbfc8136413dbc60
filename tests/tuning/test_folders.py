"""The folders of sweeps: their numbers, and which one is continued."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exvad.config import load_config
from exvad.tuning.context import PLAN, SUMMARY, SweepOptions
from exvad.tuning.folders import begin_sweep, sweep_to_resume


@pytest.fixture
def options(tmp_path: Path) -> SweepOptions:
    """The options of a sweep that is to be resumed, or begun."""
    space = tmp_path / "space.yaml"
    space.write_text("model.tau: {type: float, low: 0.05, high: 0.2}\n")
    return SweepOptions(space, resume="unfinished")


def test_sweeps_are_numbered_and_the_newest_is_resumed(
    tmp_path: Path, options: SweepOptions
) -> None:
    config = load_config("demo", [f"run={tmp_path}"])
    with pytest.raises(ValueError, match="no sweep"):
        sweep_to_resume(config, replace(options, resume="newest"))
    for number in range(1, 12):
        assert begin_sweep(config, options).path == str(tmp_path / f"sweep{number}")
    found = sweep_to_resume(config, replace(options, resume="newest"))
    assert found is not None
    assert found.path == str(tmp_path / "sweep11")
    assert sweep_to_resume(config, replace(options, resume="never")) is None


def test_resume_or_start_continues_the_newest_sweep_until_it_has_a_winner(
    tmp_path: Path, options: SweepOptions
) -> None:
    config = load_config("demo", [f"run={tmp_path}"])
    assert sweep_to_resume(config, options) is None
    folder = begin_sweep(config, options)
    assert sweep_to_resume(config, options) == folder
    (folder / SUMMARY).write_json({"winner": {}})
    assert sweep_to_resume(config, options) is None
    assert sweep_to_resume(config, replace(options, resume="newest")) == folder


def test_resume_or_start_leaves_sweeps_of_before_that_wrote_no_summary(
    tmp_path: Path, options: SweepOptions
) -> None:
    config = load_config("demo", [f"run={tmp_path}"])
    folder = begin_sweep(config, options)
    plan = (folder / PLAN).read_json()
    del plan["format"]
    (folder / PLAN).write_json(plan)
    assert sweep_to_resume(config, options) is None
    assert sweep_to_resume(config, replace(options, resume="newest")) == folder


def test_resume_or_start_refuses_another_plan(tmp_path: Path, options: SweepOptions) -> None:
    config = load_config("demo", [f"run={tmp_path}"])
    begin_sweep(config, options)
    with pytest.raises(ValueError, match=r"sweep1 was started with another trials: give the same"):
        sweep_to_resume(config, replace(options, trials=7))
    other = load_config("demo", [f"run={tmp_path}", "train.epochs=7"])
    with pytest.raises(ValueError, match=r"another configuration: .* start a new sweep"):
        sweep_to_resume(other, options)
