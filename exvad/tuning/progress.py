"""The progress of a sweep on the terminal: what runs, what is best so far, what failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

from ray.tune import Callback
from rich.console import Group
from rich.live import Live
from rich.progress import Progress
from rich.table import Table

from exvad.pipeline.placement import waiting_reported
from exvad.pipeline.progress import terminal

Phase = Literal["running", "finished", "stopped early", "failed"]
ENDED: dict[str, Phase] = {"TERMINATED": "finished", "ERROR": "failed"}
SHOWN_BEST = 5
REFRESHES_PER_SECOND = 4


@dataclass
class TrialRow:
    """One trial in the table.

    Args:
        index: index of the trial, in the order of the draws.
        parameters: the drawn settings.
        phase: the state of the trial.
        metrics: the metrics of its last epoch.
    """

    index: int
    parameters: Mapping[str, Any]
    phase: Phase = "running"
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The best score of its epochs so far; -1 before the first."""
        return float(self.metrics.get("score", -1.0))

    def settings(self) -> str:
        """Return the draw in short: `k=4 tau=0.05`."""
        return " ".join(
            f"{key.split('.')[-1]}={_short(value)}" for key, value in self.parameters.items()
        )


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def summary_line(rows: Sequence[TrialRow], planned: int, seconds: float) -> str:
    """Summarize the state of a sweep in one line.

    Args:
        rows: the trials that started.
        planned: number of trials that were planned.
        seconds: time since the start of the sweep.
    """
    ended = [row for row in rows if row.phase != "running"]
    parts = [f"{len(ended)} of {planned} trials", f"{len(rows) - len(ended)} running"]
    for phase in ("stopped early", "failed"):
        if count := sum(row.phase == phase for row in rows):
            parts.append(f"{count} {phase}")
    parts.append(f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s")
    return " · ".join(parts)


def best_rows(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the trials that have a score, the best first."""
    scored = [row for row in rows if row.score >= 0 and row.phase != "failed"]
    return sorted(scored, key=lambda row: -row.score)


def progress_table(rows: Sequence[TrialRow], planned: int, seconds: float) -> Group:
    """Return the summary line with a table of the best trials and the running ones.

    Args:
        rows: the trials that started.
        planned: number of trials that were planned.
        seconds: time since the start of the sweep.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("trial", "epoch", "AUC", "mAP"):
        table.add_column(heading, justify="right")
    for heading in ("", "settings"):
        table.add_column(heading)
    best = best_rows(rows)
    shown = best[:SHOWN_BEST]
    shown += [row for row in rows if row.phase == "running" and row not in shown]
    for row in shown:
        metrics = row.metrics
        epoch = f"{metrics['epoch']:.0f}" if "epoch" in metrics else ""
        qualities = [
            f"{metrics[name]:.3f}" if name in metrics else ""
            for name in ("best_val_auc", "best_val_map")
        ]
        leads = bool(best) and row is best[0]
        state, style = ("best so far", "bold green") if leads else (row.phase, None)
        table.add_row(str(row.index), epoch, *qualities, state, row.settings(), style=style)
    return Group(summary_line(rows, planned, seconds), table)


class SweepProgress(Callback):  # type: ignore[misc]
    """Shows the progress of a sweep: a live table on a terminal, else a line per ended trial and a
    line a minute. Where no trial can run, it prints what the sweep waits for.

    Ray Tune pickles this callback with the sweep and unpickles it on `--resume`. So it holds only
    plain values until the sweep starts.

    Args:
        planned: number of trials that are planned.
        epochs: epochs of a full training.
    """

    def __init__(self, planned: int, epochs: int) -> None:
        self.planned = planned
        self.epochs = epochs
        self._rows: dict[str, TrialRow] = {}
        self._start = 0.0
        self._display: _Display | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the display."""
        return {**self.__dict__, "_rows": {}, "_display": None}

    def setup(self, **_: Any) -> None:
        """Start the display."""
        self._start = time.monotonic()
        self._display = _Display(self._table, self.planned)

    def on_step_end(self, **event: Any) -> None:
        """Record that the sweep waits for nothing while a trial runs, however long an epoch is."""
        # Ended trials come first.
        if self._display and any(trial.status == "RUNNING" for trial in reversed(event["trials"])):
            self._display.waiting.progress()

    def on_trial_start(self, **event: Any) -> None:
        """Add a trial that starts."""
        for trial in event["trials"]:
            # A resumed sweep has trials that ended before.
            if trial.trial_id not in self._rows and trial.status in ENDED:
                self._update_row(trial, ENDED[trial.status], trial.last_result)
        self._show(event["trial"], "running")

    def on_trial_result(self, **event: Any) -> None:
        """Show the metrics of an epoch."""
        self._show(event["trial"], "running", event["result"])

    def on_trial_complete(self, **event: Any) -> None:
        """Show that a trial ended."""
        metrics = event["trial"].last_result or {}
        early = metrics.get("epoch", self.epochs) < self.epochs
        self._show(event["trial"], "stopped early" if early else "finished", metrics)

    def on_trial_error(self, **event: Any) -> None:
        """Show that a trial failed."""
        self._show(event["trial"], "failed")

    def on_experiment_end(self, **_: Any) -> None:
        """Leave the last state on the terminal."""
        if self._display is not None:
            self._display.close()
            self._display = None

    def _table(self) -> Group:
        return progress_table(list(self._rows.values()), self.planned, self._seconds)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._start

    def _show(self, trial: Any, phase: Phase, metrics: Mapping[str, Any] | None = None) -> None:
        row = self._update_row(trial, phase, metrics)
        rows = list(self._rows.values())
        if self._display is not None:
            self._display.count(rows)
        if phase != "running" and not terminal.console.is_terminal:
            best = best_rows(rows)
            lead = f"; best so far {best[0].score:.4f} ({best[0].settings()})" if best else ""
            state = summary_line(rows, self.planned, self._seconds)
            line = f"trial {row.index} {phase}: {state}{lead}"
            terminal.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _update_row(self, trial: Any, phase: Phase, metrics: Mapping[str, Any] | None) -> TrialRow:
        row = self._rows.setdefault(trial.trial_id, TrialRow(len(self._rows), trial.config))
        row.phase, row.metrics = phase, metrics or row.metrics
        return row


class _Display:
    """The display of a sweep that runs.

    Args:
        table: returns the table of the trials.
        planned: number of trials that are planned.
    """

    def __init__(self, table: Callable[[], Group], planned: int) -> None:
        self._open = ExitStack()
        self.waiting = self._open.enter_context(waiting_reported("the sweep"))
        self._bar: Progress | None = None
        if terminal.console.is_terminal:
            self._open.enter_context(
                Live(
                    get_renderable=table,
                    console=terminal.console,
                    refresh_per_second=REFRESHES_PER_SECOND,
                )
            )
        else:
            self._bar = self._open.enter_context(terminal.progress_bar())
            self._task = self._bar.add_task("trials", total=planned)

    def count(self, rows: Sequence[TrialRow]) -> None:
        """Show how many trials have ended and how many run, where there is no table."""
        if self._bar is not None:
            running = sum(row.phase == "running" for row in rows)
            description = f"trials ({running} running)" if running else "trials"
            self._bar.update(self._task, completed=len(rows) - running, description=description)

    def close(self) -> None:
        """Leave the last state on the terminal."""
        self._open.close()
