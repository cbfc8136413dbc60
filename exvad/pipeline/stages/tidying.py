"""Merging the small parts of a stage, while it is filled and afterwards.

A run that is interrupted leaves at most a few thousand small parts to look through.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from exvad.data.storage.errors import StorageError
from exvad.pipeline.progress.terminal import console
from exvad.store.index.compaction import compact, is_worth_compacting

if TYPE_CHECKING:
    from exvad.store.index.spread import Spread
    from exvad.store.store import Stage
    from exvad.store.survey import Survey

MEANWHILE_SECONDS = 300.0
MEANWHILE_PARTS = 4096


class StoppedError(Exception):
    """The stage has ended, so that its parts are merged afterwards."""


def finish_stage(stage: Stage, survey: Survey, spread: Spread, worked: bool) -> None:
    """Add what a stage wrote to the survey, and merge its parts if they are many.

    Without room or without an answer of storage the parts stay as they are: they are complete.

    Args:
        stage: the stage, open for writing.
        survey: what the store holds.
        spread: how reading and merging are spread.
        worked: whether the stage had anything to do.

    Raises:
        CorruptPartError, ValueError: a part is damaged, or has features of another width.
        StorageError: storage does not answer when the files are listed.
    """
    if worked:
        survey.refresh(stage.name)
    try:
        if is_worth_compacting(survey.index(stage.name).snapshot):
            compact(stage, spread)
            survey.refresh(stage.name)
        survey.merge_failures()
    except (OSError, StorageError) as error:
        _note(stage, error)
        survey.refresh(stage.name)


@contextmanager
def merging_meanwhile(
    stage: Stage,
    spread: Spread,
    seconds: float = MEANWHILE_SECONDS,
    min_parts: int = MEANWHILE_PARTS,
) -> Iterator[None]:
    """Merge the parts of a stage while the block fills it.

    Args:
        stage: the stage, open for writing.
        spread: how merging is spread.
        seconds: time between two looks at the parts.
        min_parts: fewer parts stay as they are.
    """
    stopped = threading.Event()
    thread = threading.Thread(
        target=_merge_until, args=(stopped, stage, spread, seconds, min_parts), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _merge_until(
    stopped: threading.Event, stage: Stage, spread: Spread, seconds: float, min_parts: int
) -> None:
    while not stopped.wait(seconds):
        try:
            compact(stage, partial(_spread_until, stopped, spread), min_parts)
        except StoppedError:
            return
        except (OSError, ValueError) as error:
            # What can't be merged now is complete; what is damaged ends the job afterwards.
            _note(stage, error)


def _spread_until(
    stopped: threading.Event,
    spread: Spread,
    function: Callable[[Any], Any],
    arguments: Sequence[Any],
) -> Iterator[Any]:
    for result in spread(function, arguments):
        if stopped.is_set():
            raise StoppedError
        yield result


def _note(stage: Stage, error: Exception) -> None:
    console.print(
        f"note: the small parts of {stage.folder.path} could not be merged ({error}); this is "
        "tried again",
        highlight=False,
    )
