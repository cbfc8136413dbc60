"""The progress of a sweep, on a terminal and elsewhere."""

from __future__ import annotations

import io
import pickle
import time
from functools import partial
from types import SimpleNamespace

import pytest
import ray
from rich.console import Console

from exvad.pipeline import placement
from exvad.pipeline.progress import terminal
from exvad.pipeline.progress.lines import ProgressLines
from exvad.tuning.progress import SweepProgress, TrialRow, progress_table, summary_line
from tests.helpers.ray_sessions import fake_cluster

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
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("trial 1 finished: 2 of 3 trials · 0 running")
    assert first.endswith("best so far 0.5000 (k=0)")
    assert second.startswith("trial 2 stopped early: 3 of 3 trials · 0 running · 1 stopped early")
    assert second.endswith("best so far 0.7500 (k=1)")
    assert last.startswith("trials: 3 of 3 in")


def test_sweep_progress_prints_a_line_a_minute_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "console", Console(width=200))
    monkeypatch.setattr(terminal, "ProgressLines", partial(ProgressLines, every=0.1))
    progress = SweepProgress(3, epochs=16)
    progress.setup()
    trial = SimpleNamespace(
        trial_id="t0", config={"labels.k": 0}, status="RUNNING", last_result=None
    )
    progress.on_trial_start(trial=trial, trials=[trial])
    progress.on_trial_result(trial=trial, result={"epoch": 1, "score": 0.5})
    time.sleep(0.5)
    progress.on_experiment_end(trials=[])
    assert "trials (1 running): 0 of 3\n" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Ray itself
def test_sweep_progress_prints_what_the_sweep_waits_for_if_no_trial_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "REPORT_SECONDS", 0.5)
    monkeypatch.setattr(placement, "console", Console(width=200))
    progress = SweepProgress(3, epochs=16)
    with fake_cluster(num_cpus=1):
        too_large = ray.remote(num_cpus=5)(lambda: None).remote()
        progress.setup()
        for status, waits in (("PENDING", True), ("RUNNING", False)):
            trial = SimpleNamespace(status=status)
            for _ in range(60):
                progress.on_step_end(trials=[trial])
                time.sleep(0.05)
            written = capsys.readouterr().out.splitlines()[
                1:
            ]  # the first may be of the time before
            said = any("the sweep waits for free cores" in line for line in written)
            assert said == waits
        progress.on_experiment_end(trials=[])
        ray.cancel(too_large)
