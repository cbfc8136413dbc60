"""The sweep as it goes, on the terminal: what runs, what is best so far, what failed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ray.tune import Callback

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

Phase = Literal["running", "finished", "stopped early", "failed"]
ENDED: dict[str, Phase] = {"TERMINATED": "finished", "ERROR": "failed"}
SHOWN_BEST = 5
PER_SECOND = 4


@dataclass
class Row:
    """What is known of a trial.

    Args:
        number: which trial, in the order they were drawn.
        parameters: its draw.
        phase: where it stands.
        figures: of its last epoch.
    """

    number: int
    parameters: Mapping[str, Any]
    phase: Phase = "running"
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The best score of its epochs so far."""
        return float(self.figures.get("score", -1.0))

    def settings(self) -> str:
        """Say the draw in short: `k=4 tau=0.05`."""
        return " ".join(f"{key.split('.')[-1]}={short(v)}" for key, v in self.parameters.items())


def short(value: Any) -> str:
    """Write a drawn value with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def summary(rows: Sequence[Row], planned: int, seconds: float) -> str:
    """Say in one line how far the sweep is."""
    ended = [row for row in rows if row.phase != "running"]
    parts = [f"{len(ended)} of {planned} trials", f"{len(rows) - len(ended)} running"]
    for phase in ("stopped early", "failed"):
        if count := sum(row.phase == phase for row in rows):
            parts.append(f"{count} {phase}")
    parts.append(f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s")
    return " · ".join(parts)


def best_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that have a score, the best first."""
    scored = [row for row in rows if row.score >= 0 and row.phase != "failed"]
    return sorted(scored, key=lambda row: -row.score)


def draw(rows: Sequence[Row], planned: int, seconds: float) -> Group:
    """Draw the table: the best so far, then what else is running."""
    from rich.console import Group
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (("trial", "right"), ("epoch", "right"), ("AUC", "right"),
                       ("mAP", "right"), ("", "left"), ("settings", "left")):  # fmt: skip
        table.add_column(name, justify="right" if side == "right" else "left")
    best = best_rows(rows)
    shown = best[:SHOWN_BEST]
    shown += [row for row in rows if row.phase == "running" and row not in shown]
    for row in shown:
        figures = row.figures
        cells = [
            f"{figures[name]:.3f}" if name in figures else ""
            for name in ("best_val_auc", "best_val_map")
        ]
        epoch = f"{figures['epoch']:.0f}" if "epoch" in figures else ""
        mark = "best so far" if best and row is best[0] else row.phase
        style = "bold green" if mark == "best so far" else None
        table.add_row(str(row.number), epoch, *cells, mark, row.settings(), style=style)
    return Group(summary(rows, planned, seconds), table)


class Follower(Callback):  # type: ignore[misc]
    """Follows a sweep: a live table on a terminal, elsewhere a line per ended trial.

    Ray Tune keeps it with the sweep and wakes it up on `--resume`, so it holds plain values until
    the sweep begins.

    Args:
        planned: how many trials there will be.
        epochs: of a whole training.
    """

    def __init__(self, planned: int, epochs: int) -> None:
        self.planned = planned
        self.epochs = epochs
        self.rows: dict[str, Row] = {}
        self._begin = 0.0
        self._live: Live | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the display behind."""
        return {**self.__dict__, "rows": {}, "_live": None}

    def setup(self, **_: Any) -> None:
        """Begin to show."""
        from rich.live import Live

        self._begin = time.monotonic()
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=PER_SECOND)
            self._live.start()

    def on_trial_start(self, **event: Any) -> None:
        """Take up a trial."""
        for trial in event["trials"]:
            # Of a sweep that goes on, some trials have ended before.
            if trial.trial_id not in self.rows and trial.status in ENDED:
                self._row(trial, ENDED[trial.status], trial.last_result)
        self._show(event["trial"], "running")

    def on_trial_result(self, **event: Any) -> None:
        """Take up the figures of an epoch."""
        self._show(event["trial"], "running", event["result"])

    def on_trial_complete(self, **event: Any) -> None:
        """Note that a trial has ended."""
        figures = event["trial"].last_result or {}
        early = figures.get("epoch", self.epochs) < self.epochs
        self._show(event["trial"], "stopped early" if early else "finished", figures)

    def on_trial_error(self, **event: Any) -> None:
        """Note that a trial has failed."""
        self._show(event["trial"], "failed")

    def on_experiment_end(self, **_: Any) -> None:
        """Leave the last state on the terminal."""
        if self._live is not None:
            self._live.update(self._drawn())
            self._live.stop()
            self._live = None

    @property
    def _console(self) -> Console:
        from exvad.pipeline.session import console

        return console

    def _drawn(self) -> Group:
        return draw(list(self.rows.values()), self.planned, time.monotonic() - self._begin)

    def _show(self, trial: Any, phase: Phase, figures: Mapping[str, Any] | None = None) -> None:
        row = self._row(trial, phase, figures)
        if self._live is not None:
            self._live.update(self._drawn())
        elif phase != "running":
            rows = list(self.rows.values())
            best = best_rows(rows)
            known = f"; best so far {best[0].score:.4f} ({best[0].settings()})" if best else ""
            state = summary(rows, self.planned, time.monotonic() - self._begin)
            line = f"trial {row.number} {phase}: {state}{known}"
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _row(self, trial: Any, phase: Phase, figures: Mapping[str, Any] | None) -> Row:
        row = self.rows.setdefault(trial.trial_id, Row(len(self.rows), trial.config))
        row.phase, row.figures = phase, figures or row.figures
        return row
