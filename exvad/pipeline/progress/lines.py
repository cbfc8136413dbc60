"""Progress without a terminal, as in the log of a submitted job: a line a minute."""

from __future__ import annotations

import ray
from rich.console import Console
from rich.progress import Task

from exvad.pipeline.progress.polled import PolledProgress

LINE_SECONDS = 60.0
RATE_SECONDS = 600.0  # the rate is the mean of so much of the past


class ProgressLines(PolledProgress):
    """Prints for each task a line a minute, and a last line when it ends.

    A line says how much is done, the rate, the time left, and the size of the cluster.

    Args:
        console: where the lines are printed.
        every: seconds between two lines.
    """

    def __init__(self, console: Console, every: float = LINE_SECONDS) -> None:
        super().__init__(every, console=console, speed_estimate_period=RATE_SECONDS)

    def report(self, last: bool) -> None:
        """Print a line for each task."""
        for task in self.tasks:
            if task.visible:
                self.console.print(
                    describe_end(task) if last else f"{describe_task(task)}{_cluster()}",
                    highlight=False,
                    soft_wrap=True,
                )


def describe_task(task: Task) -> str:
    """Return how far a task has come: done, rate and time left."""
    text = f"{task.description}: {_count(task)}"
    if task.speed:
        text += f", {60 * task.speed:.3g} a minute"
    if task.time_remaining is not None and not task.finished:
        text += f", about {format_duration(task.time_remaining)} left"
    return text


def describe_end(task: Task) -> str:
    """Return what a task has done in all, and how long that took."""
    return f"{task.description}: {_count(task)} in {format_duration(task.elapsed or 0)}"


def format_duration(seconds: float) -> str:
    """Return a duration in words of two units: `43 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    seconds = round(seconds)
    for unit, size, smaller, smaller_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // smaller_size} {smaller}"
    return f"{seconds} s"


def _count(task: Task) -> str:
    return f"{task.completed:.0f}" + ("" if task.total is None else f" of {task.total:.0f}")


def _cluster() -> str:
    """Return the size of a cluster of several nodes, for the end of a line."""
    nodes = sum(node["Alive"] for node in ray.nodes()) if ray.is_initialized() else 1
    return f"; {nodes} nodes" if nodes > 1 else ""
