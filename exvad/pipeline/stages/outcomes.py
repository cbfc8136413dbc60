"""Outcomes of inputs, and running a data set to its end while they come in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.pipeline.placement import waiting_reported
from exvad.pipeline.terminal import console, progress_bar

if TYPE_CHECKING:
    from ray.data import Dataset

    from exvad.store.store import Store


@dataclass(frozen=True)
class Outcome:
    """The outcome of an input: success, success with a remark, or failure.

    Args:
        video_id: the video.
        error: the type of the error; empty for success.
        message: the error message or the remark.
    """

    video_id: str
    error: str = ""
    message: str = ""

    @classmethod
    def failure(cls, video_id: str, error: Exception) -> Outcome:
        """Return the outcome of an input that could not be processed."""
        return cls(video_id, type(error).__name__, str(error))

    def to_json(self) -> str:
        """Return the outcome as the text that travels through the pipeline."""
        return json.dumps([self.video_id, self.error, self.message])

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Parse the text of `to_json`."""
        return cls(*json.loads(text))


def run_to_end(
    dataset: Dataset, title: str, total: int, store: Store, stage: str, retry_error: str = ""
) -> list[Outcome]:
    """Run a data set to its end; show the progress by video and log the failures in the store.

    Args:
        dataset: rows with an `outcome`.
        title: title of the progress bar.
        total: number of videos.
        store: the store whose log takes the failures.
        stage: the stage that the failures belong to.
        retry_error: the type of the errors that the caller retries; they are not logged.

    Returns:
        The outcomes to retry.
    """
    ended: set[str] = set()
    remarks: list[Outcome] = []
    to_retry: list[Outcome] = []
    with progress_bar() as bar, waiting_reported(title) as reporter:
        task = bar.add_task(title, total=total)
        for outcome in _iter_outcomes(dataset):
            if outcome.error and outcome.error == retry_error:
                to_retry.append(outcome)
            elif outcome.error:
                store.failures.append(outcome.video_id, stage, outcome.error, outcome.message)
            elif outcome.message:
                remarks.append(outcome)
            reporter.progress()
            ended.add(outcome.video_id)
            bar.update(task, completed=len(ended))
    for outcome in remarks:
        console.print(f"note: {outcome.video_id}: {outcome.message}", highlight=False)
    return to_retry


def _iter_outcomes(dataset: Dataset) -> Iterator[Outcome]:
    for batch in dataset.iter_batches(batch_size=None, batch_format="numpy"):
        yield from map(Outcome.from_json, batch["outcome"])
