"""The progress of a sweep, on a terminal and elsewhere."""

from __future__ import annotations

import io
import pickle
from types import SimpleNamespace

import pytest
from rich.console import Console

from exvad.tuning.progress import SweepProgress, TrialRow, progress_table, summary_line

ROWS = [
    TrialRow(0, {"labels.k": 4, "model.tau": 0.0512345}, "finished",
             {"epoch": 16, "best_val_auc": 0.9, "best_val_map": 0.7, "score": 0.8}),
    TrialRow(1, {"labels.k": 2, "model.tau": 0.1}, "running", {"epoch": 3, "score": 0.85}),
    TrialRow(2, {"labels.k": 1, "model.tau": 0.1}, "failed", {"epoch": 1, "score": 0.99}),
    TrialRow(3, {"labels.k": 8, "model.tau": 0.1}),
]  # fmt: skip


def printed(rows: list[TrialRow]) -> list[str]:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(progress_table(rows, 20, 75))
    return console.export_text().splitlines()


def test_progress_table_leads_with_the_best_and_shows_running_trials() -> None:
    lines = printed(ROWS)
    assert lines[0].split() == summary_line(ROWS, 20, 75).split()
    assert "2 of 20 trials · 2 running · 1 failed · 75 s" in lines[0]
    assert "best so far" in lines[2]
    assert "k=2 tau=0.1" in lines[2]
    assert "0.900" in lines[3]
    assert "k=4 tau=0.0512" in lines[3]
    assert "k=8" in lines[4]
    assert not any("k=1 " in line for line in lines)


def test_progress_table_has_no_best_before_the_first_result() -> None:
    assert not any("best so far" in line for line in printed([ROWS[3]]))


def test_sweep_progress_prints_a_line_per_ended_trial_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.pipeline.progress.terminal.console", Console(width=200))
    progress = pickle.loads(pickle.dumps(SweepProgress(3, epochs=16)))
    progress.setup()
    ended_before = SimpleNamespace(
        trial_id="before", config={"labels.k": 7}, status="TERMINATED", last_result={"score": 0.1}
    )
    for index, epoch in ((0, 16), (1, 2)):
        result = {"epoch": epoch, "score": 0.5 + index / 4}
        trial = SimpleNamespace(
            trial_id=f"t{index}", config={"labels.k": index}, status="RUNNING", last_result=result
        )
        progress.on_trial_start(trial=trial, trials=[ended_before, trial])
        progress.on_trial_result(trial=trial, result=result)
        progress.on_trial_complete(trial=trial)
    progress.on_experiment_end(trials=[])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("trial 1 finished: 2 of 3 trials · 0 running")
    assert first.endswith("best so far 0.5000 (k=0)")
    assert second.startswith("trial 2 stopped early: 3 of 3 trials · 0 running · 1 stopped early")
    assert second.endswith("best so far 0.7500 (k=1)")
