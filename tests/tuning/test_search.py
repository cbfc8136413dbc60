"""The search: folders of sweeps, and reasons of failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.exceptions import RayActorError

from exvad.config import load_config
from exvad.tuning.search import failure_reason, sweep_folder


def test_sweep_folder_numbers_new_sweeps_and_resumes_the_newest(tmp_path: Path) -> None:
    config = load_config("demo", [f"run={tmp_path}"])
    with pytest.raises(ValueError, match="no sweep"):
        sweep_folder(config, resume=True)
    for number in range(1, 12):
        folder = sweep_folder(config, resume=False)
        assert folder.path == str(tmp_path / f"sweep{number}")
        (folder / "sweep.json").write_text("{}")
    assert sweep_folder(config, resume=True).path == str(tmp_path / "sweep11")


def test_failure_reason_is_the_last_line_of_a_traceback() -> None:
    trace = "Traceback …\n  File …\nNotFiniteError: lower train.learning_rate\n"
    assert failure_reason(RuntimeError(trace)) == "NotFiniteError: lower train.learning_rate"
    assert failure_reason(RayActorError()) == "its process died, as it does when memory runs out"
