"""Ablations: a cell's result is found by everything that it depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.config import load_config, override_config
from exvad.evaluation.ablation_plan import cell_name, read_plan
from exvad.pipeline.studies.ablate import ablate, result_place


def test_the_papers_plan_changes_settings_that_exist() -> None:
    plan = read_plan(None)
    config = load_config("demo")
    cells = list(plan.cells())
    assert len({cell_name(settings) for settings in cells}) == len(cells)
    paths = {result_place(override_config(config, settings), "data") for settings in cells}
    # The preset's own values appear under several names; they are trained once.
    assert 10 < len(paths) <= len(cells)
    assert result_place(override_config(config, cells[0]), "other data") not in paths


def test_ablate_refuses_no_seeds_and_a_run_without_data(tmp_path: Path) -> None:
    config = load_config("demo", [f"run={tmp_path}/run"])
    with pytest.raises(ValueError, match="--seeds 0: give at least one"):
        ablate(config, None, 0, "strict")
    with pytest.raises(ValueError, match="exvad preprocess"):
        ablate(config, None, 1, "strict")
