"""What follows each stage of preprocessing: what it wrote is noted, and small parts are merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.data.storage.errors import StorageError
from exvad.pipeline.terminal import console
from exvad.store.index.compaction import compact, is_worth_compacting

if TYPE_CHECKING:
    from exvad.store.index.spread import Spread
    from exvad.store.store import Stage
    from exvad.store.survey import Survey


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
        console.print(
            f"note: the small parts of {stage.folder.path} could not be merged ({error}); the next "
            "run tries again",
            highlight=False,
        )
        survey.refresh(stage.name)
