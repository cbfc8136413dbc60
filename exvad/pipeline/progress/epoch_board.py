"""The progress of a training: an actor that the workers write to and the driver reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from exvad.pipeline.progress.terminal import progress_bar

POLL_SECONDS = 0.5


class EpochBoard:
    """Holds the metrics of the last epoch; an actor that takes no CPU."""

    def __init__(self) -> None:
        self._metrics: dict[str, float] = {}

    def record(self, metrics: dict[str, float]) -> None:
        """Store the metrics of an epoch."""
        self._metrics = metrics

    def latest(self) -> dict[str, float]:
        """Return the metrics of the last epoch; empty before the first."""
        return self._metrics


@contextmanager
def epochs_shown(board: Any, epochs: int) -> Iterator[None]:
    """Show the epochs of a board in a progress bar until the block ends.

    Args:
        board: handle of an `EpochBoard` actor.
        epochs: number of epochs of the training.
    """
    ended = threading.Event()
    with progress_bar() as bar:
        task = bar.add_task("training, by epoch", total=epochs)

        def follow() -> None:
            while not ended.wait(POLL_SECONDS):
                metrics = ray.get(board.latest.remote())
                if metrics:
                    description = f"training, loss {metrics['total']:.3f}"
                    bar.update(task, completed=metrics["epoch"], description=description)

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
