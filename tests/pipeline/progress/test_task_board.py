"""The bars of a task on a cluster are shown by its driver."""

from __future__ import annotations

import gc
import io
import sys
from pathlib import Path

import pytest
import ray
from rich.console import Console

from exvad.pipeline.progress import terminal
from exvad.pipeline.progress.task_board import (
    CopiedProgress,
    Row,
    TaskBoard,
    bars_copied,
    task_shown,
)
from tests.helpers.ray_sessions import fake_cluster


@pytest.fixture(params=[False, True])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written, without a terminal and with one."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=request.param, width=100, markup=False)
    monkeypatch.setattr(terminal, "console", console)
    return text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Ray itself
def test_bars_of_a_task_are_shown_here(written: io.StringIO) -> None:
    def work(board: object, root: str) -> int:  # pickled by value: it imports nothing itself
        sys.path.insert(0, root)
        with bars_copied(board):
            for step in ("measuring", "writing the report"):
                with terminal.progress_bar() as bar:
                    row = bar.add_task(step, total=3)
                    bar.update(row, completed=3)
        return 7

    root = str(Path(__file__).parents[3])
    with fake_cluster(num_cpus=1), task_shown("evaluation") as board:
        assert ray.get(ray.remote(num_cpus=1)(work).remote(board, root)) == 7
    lines = written.getvalue()
    for step in ("measuring", "writing the report", "evaluation"):
        assert step in lines
    assert "3/3" in lines or "measuring: 3 of 3 in" in lines


class Recorder:
    """The handle of an actor with a board, without the actor."""

    def __init__(self) -> None:
        self.board, self.record = TaskBoard(), self

    def remote(self, bar: str, rows: list[Row]) -> None:
        self.board.record(bar, rows)


def test_bars_stay_in_their_order_after_they_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "get", lambda reference: reference)
    recorder = Recorder()
    for number in range(6):
        bar = CopiedProgress(recorder)
        bar.add_task(f"step {number}", total=1)
        bar.start()
        bar.stop()
        del bar
        gc.collect()
    assert [row[0] for row in recorder.board.rows()] == [f"step {number}" for number in range(6)]
