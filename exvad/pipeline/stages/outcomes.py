"""Outcomes of inputs, and running a data set to its end while they come in."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.data.storage.errors import StorageError
from exvad.pipeline.placement import waiting_reported
from exvad.pipeline.progress.terminal import console, progress_bar
from exvad.pipeline.session import is_on_cluster
from exvad.pipeline.shared_places import is_missing, unseen_video
from exvad.store.parts import UnwritableError
from exvad.video.container import MissingVideoError

if TYPE_CHECKING:
    from ray.data import Dataset

    from exvad.store.store import Store


# Interruptions one after another: storage is down, and more work would only be lost.
MAX_INTERRUPTIONS = 20
LOG_SECONDS = 5.0  # between two files of the log, each of which is a request


class UnfinishedError(ValueError):
    """Storage failed for some inputs, which are not done; the same command continues with them."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of an input: success, success with a remark, failure, or interruption.

    An interrupted input is not done and not failed: storage did not answer.

    Args:
        video_id: the video.
        error: the type of the error; empty for success.
        message: the error message or the remark.
        node: the name of the node that does not see the video; empty for any other outcome.
    """

    video_id: str
    error: str = ""
    message: str = ""
    node: str = ""

    @classmethod
    def failure(cls, video_id: str, error: Exception) -> Outcome:
        """Return the outcome of an input that could not be processed."""
        node = socket.gethostname() if isinstance(error, MissingVideoError) else ""
        return cls(video_id, type(error).__name__, str(error), node)

    @property
    def is_interruption(self) -> bool:
        """Whether storage failed, and not the input."""
        return self.error == StorageError.__name__

    def to_json(self) -> str:
        """Return the outcome as the text that travels through the pipeline."""
        node = [self.node] if self.node else []
        return json.dumps([self.video_id, self.error, self.message, *node])

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Parse the text of `to_json`."""
        return cls(*json.loads(text))


def interrupt_all(outcomes: Sequence[str], error: StorageError) -> list[str]:
    """Return outcomes, as JSON, with interruptions in place of the successes."""
    interrupted = []
    for text in outcomes:
        outcome = Outcome.from_json(text)
        failed = bool(outcome.error)
        interrupted.append(text if failed else Outcome.failure(outcome.video_id, error).to_json())
    return interrupted


def run_to_end(
    dataset: Dataset,
    title: str,
    total: int,
    store: Store,
    stage: str,
    retry_error: str = "",
    paths: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Run a data set to its end; show the progress by video and log the failures in the store.

    Args:
        dataset: rows with an `outcome`.
        title: title of the progress bar.
        total: number of videos.
        store: the store whose log takes the failures.
        stage: the stage that the failures belong to.
        retry_error: the type of the errors that the caller retries; they are not logged.
        paths: video → its path or URI; None if no videos are read.

    Returns:
        The outcomes to retry.

    Raises:
        UnfinishedError: some inputs were interrupted. All others are done by then, unless many
            interruptions came one after another.
        UnsharedPlaceError: a node does not see a video that this process sees.
        UnwritableError: the disk of the store's log is full.
        StorageError: the storage of the store's log does not answer.
    """
    ended: set[str] = set()
    interruptions: dict[str, Outcome] = {}
    in_a_row = 0
    remarks: list[Outcome] = []
    to_retry: list[Outcome] = []
    with (
        progress_bar() as bar,
        waiting_reported(title) as reporter,
        _failures_logged(store, stage) as log_failure,
    ):
        task = bar.add_task(title, total=total)
        for outcome in _iter_outcomes(dataset):
            _check_seen(outcome, paths or {})
            in_a_row = in_a_row + 1 if outcome.is_interruption else 0
            if outcome.is_interruption:
                interruptions.setdefault(outcome.video_id, outcome)
                if in_a_row == MAX_INTERRUPTIONS:
                    break
            elif outcome.error and outcome.error == retry_error:
                to_retry.append(outcome)
            elif outcome.error:
                log_failure(outcome)
            elif outcome.message:
                remarks.append(outcome)
            reporter.progress()
            ended.add(outcome.video_id)
            bar.update(task, completed=len(ended))
    for outcome in remarks:
        console.print(f"note: {outcome.video_id}: {outcome.message}", highlight=False)
    if interruptions:
        first = next(iter(interruptions.values()))
        raise UnfinishedError(
            f"storage failed for {len(interruptions)} of {total} videos, which are not done; run "
            f"again to continue (the first was {first.video_id}: {first.message})"
        )
    return to_retry


def _check_seen(outcome: Outcome, paths: Mapping[str, str]) -> None:
    """Raise if a video is missing on one node only: that is no failure of the video."""
    path = paths.get(outcome.video_id)
    if outcome.node and path is not None and is_on_cluster() and not is_missing(path):
        raise unseen_video(path, outcome.node)


@contextmanager
def _failures_logged(store: Store, stage: str) -> Iterator[Callable[[Outcome], None]]:
    """Yield a function that logs a failure: soon, and with others in one file."""
    waiting: list[tuple[str, str, str, str]] = []
    written_at = -math.inf

    def write() -> None:
        nonlocal written_at
        try:
            store.failures.extend(waiting)
        except OSError as error:
            raise UnwritableError.from_os_error(error) from error
        waiting.clear()
        written_at = time.monotonic()

    def log(outcome: Outcome) -> None:
        waiting.append((outcome.video_id, stage, outcome.error, outcome.message))
        if time.monotonic() - written_at > LOG_SECONDS:
            write()

    try:
        yield log
    finally:
        write()


def _iter_outcomes(dataset: Dataset) -> Iterator[Outcome]:
    for batch in dataset.iter_batches(batch_size=None, batch_format="numpy"):
        yield from map(Outcome.from_json, batch["outcome"])
