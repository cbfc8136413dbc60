"""The search: what was saved, and reasons of failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.exceptions import RayActorError

from exvad.data.storage.places import resolve_place
from exvad.tuning.search import failure_reason, has_saved_state


@pytest.mark.parametrize(
    "sampler",
    [("searcher-state-1.pkl", "search_gen_state-1.json"), ("basic-variant-state-1.json",)],
)
def test_a_sweep_is_resumed_only_if_all_of_its_state_was_saved(
    tmp_path: Path, sampler: tuple[str, ...]
) -> None:
    folder = resolve_place(tmp_path)
    (folder / "sweep.json").write_text("{}")
    for name in ("tuner.pkl", "experiment_state-1.json", *sampler):
        assert not has_saved_state(folder)
        (folder / name).write_text("state")
    assert has_saved_state(folder)


def test_failure_reason_is_the_last_line_of_a_traceback() -> None:
    trace = "Traceback …\n  File …\nNotFiniteError: lower train.learning_rate\n"
    assert failure_reason(RuntimeError(trace)) == "NotFiniteError: lower train.learning_rate"
    died = "its process died again and again, as it does when memory runs out"
    assert failure_reason(RayActorError()) == died
    repeated = "exvad.tuning.trial_state.FailedBeforeError: NotFiniteError: lower it\n"
    assert failure_reason(RuntimeError(trace + repeated)) == "NotFiniteError: lower it"
