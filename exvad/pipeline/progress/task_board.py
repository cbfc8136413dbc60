"""The progress of a task on the cluster: its bars, which an actor holds and the driver shows.

The output of the process that runs the task is hidden, so its bars are copied.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.progress import TaskID

from exvad.pipeline.placement import waiting_reported
from exvad.pipeline.progress.polled import PolledProgress
from exvad.pipeline.progress.terminal import bars_made_by, progress_bar

POLL_SECONDS = 0.5

Row = tuple[str, float, float | None]  # description, done, total


class TaskBoard:
    """Holds the rows of the bars of a task; an actor that takes no CPU."""

    def __init__(self) -> None:
        self._bars: dict[str, list[Row]] = {}

    def clear(self) -> None:
        """Forget the rows of an attempt that was lost."""
        self._bars = {}

    def record(self, bar: str, rows: list[Row]) -> None:
        """Store the rows of a bar.

        Args:
            bar: a name that no other bar has, also none of those that are gone.
            rows: its rows.
        """
        self._bars[bar] = rows

    def rows(self) -> list[Row]:
        """Return the rows of all bars, the oldest bar first."""
        return [row for rows in self._bars.values() for row in rows]


class CopiedProgress(PolledProgress):
    """A bar that shows nothing here and copies its rows to a board.

    Args:
        board: handle of a `TaskBoard` actor.
    """

    def __init__(self, board: Any) -> None:
        super().__init__(POLL_SECONDS)
        self._board = board
        self._name = uuid.uuid4().hex

    def report(self, last: bool) -> None:
        """Copy the rows; the last ones are waited for, because the task may end right after."""
        rows = [(task.description, task.completed, task.total)
                for task in self.tasks if task.visible]  # fmt: skip
        copied = self._board.record.remote(self._name, rows)
        if last:
            ray.get(copied)


@contextmanager
def bars_copied(board: Any) -> Iterator[None]:
    """Copy all bars that are made inside the block, in a task, to a board.

    Args:
        board: handle of a `TaskBoard` actor.
    """
    board.clear.remote()
    with bars_made_by(partial(CopiedProgress, board)):
        yield


@contextmanager
def task_shown(title: str) -> Iterator[Any]:
    """Show the progress of a task until the block ends, and what Ray waits for.

    Args:
        title: the step, as shown to the user.

    Yields:
        The handle of a `TaskBoard` actor, for the task.
    """
    # On the node of this process: a spot node that is lost must not take the board with it.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board = ray.remote(num_cpus=0, scheduling_strategy=here)(TaskBoard).remote()
    ended = threading.Event()
    with progress_bar() as bar, waiting_reported(title) as reporter:
        whole = bar.add_task(title, total=1)
        shown: list[TaskID] = []
        rows: list[Row] = []

        def show(latest: list[Row]) -> None:
            nonlocal rows
            if latest != rows:
                reporter.progress()
            rows = latest
            for task in shown[len(rows) :]:
                bar.update(task, visible=False)
            for index, (description, done, total) in enumerate(rows):
                if index == len(shown):
                    shown.append(bar.add_task(description, total=total))
                bar.update(shown[index], description=description, completed=done, total=total,
                           visible=True)  # fmt: skip

        def follow() -> None:
            asked = board.rows.remote()
            while not ended.wait(POLL_SECONDS):
                if ray.wait([asked], timeout=0)[0]:
                    show(ray.get(asked))
                    asked = board.rows.remote()

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield board
            bar.update(whole, completed=1)
        finally:
            ended.set()
            thread.join()
        show(ray.get(board.rows.remote()))
