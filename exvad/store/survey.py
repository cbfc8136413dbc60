"""What a store holds of the videos of a data set: read once, and handed on from step to step.

v videos
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.store.failures import MIN_FILES
from exvad.store.index.chunk_checks import find_missing
from exvad.store.index.key_rows import video_codes
from exvad.store.index.spread import IN_THREADS, Spread
from exvad.store.index.stage_index import StageIndex
from exvad.store.store import Store

if TYPE_CHECKING:
    from exvad.store.parts import Piece
    from exvad.store.schema import StageName, TextKind

NO_EXPLANATION = "no explanation"


class Survey:
    """What a store holds of some videos.

    A stage is looked at when it is first asked for, and again only after `refresh`, which reads
    what is new. Memory holds 40 bytes per stored chunk, and the names of videos and files.

    Args:
        store: the feature store.
        video_ids: the videos.
        spread: how reading is spread.

    Raises:
        ValueError: two of the videos can't be told apart.
    """

    def __init__(self, store: Store, video_ids: Sequence[str], spread: Spread = IN_THREADS) -> None:
        self.store, self.spread = store, spread
        self.video_ids = tuple(dict.fromkeys(video_ids))
        self._codes_v = video_codes(self.video_ids)
        self._position = {video_id: index for index, video_id in enumerate(self.video_ids)}
        self._indexes: dict[StageName, StageIndex] = {}
        self._failures: dict[str, list[dict[str, Any]]] | None = None

    def index(self, stage: StageName) -> StageIndex:
        """Return which rows a stage holds.

        Raises:
            ValueError: there is no such stage.
            CorruptPartError: a file of the store is damaged.
            StorageError: storage does not answer.
        """
        if stage not in self._indexes:
            self._indexes[stage] = self.store.read_stage(stage).index(self.spread)
        return self._indexes[stage]

    def refresh(self, stage: StageName) -> None:
        """Look again for what was added to a stage, and to the log of failures.

        Args:
            stage: the stage.

        Raises:
            CorruptPartError, StorageError: see `index`.
        """
        if stage in self._indexes:
            self._indexes[stage].refresh()
        if self._failures is not None:
            self._failures = self.store.failures.read_files(self._failures)

    def missing(self, text: TextKind = "none", crop: int = 0) -> dict[str, str]:
        """Return what the store lacks of the videos, video → reason.

        Args:
            text: "none" needs the vision stage only, the others the language stage too.
            crop: which crop of the frames.

        Raises:
            ValueError, CorruptPartError, StorageError: see `index`.
        """
        missing, _ = find_missing(self.index("vision"), self._codes_v, crop)
        if text != "none":
            for position in np.flatnonzero(~self._has_rows("language")).tolist():
                missing.setdefault(position, NO_EXPLANATION)
        return {self.video_ids[position]: missing[position] for position in sorted(missing)}

    def lengths(self, crop: int = 0) -> dict[str, int]:
        """Return the number of stored snippets of each video."""
        _, snippets_v = find_missing(self.index("vision"), self._codes_v, crop)
        return dict(zip(self.video_ids, snippets_v.tolist(), strict=True))

    def explained(self) -> set[str]:
        """Return the videos that have a row in the language stage."""
        found = np.flatnonzero(self._has_rows("language")).tolist()
        return {self.video_ids[position] for position in found}

    def chunks(self, video_ids: Iterable[str]) -> set[tuple[str, int]]:
        """Return the chunks of videos that are stored: video, number of the chunk."""
        index = self.index("vision")
        videos = list(video_ids)
        starts_v, ends_v = index.ranges(self._codes(videos))
        chunk_k = index.entries_k["chunk"]
        return {
            (video, chunk)
            for video, start, end in zip(videos, starts_v, ends_v, strict=True)
            for chunk in chunk_k[start:end].tolist()
        }

    def pieces(self, stage: StageName, video_ids: Collection[str]) -> dict[str, list[Piece]]:
        """Return the pieces of a stage that hold rows of videos, in the order in which they count.

        Returns:
            video → its pieces; none for a video that is not stored.
        """
        videos = list(video_ids)
        found = self.index(stage).pieces(self._codes(videos))
        return dict(zip(videos, found, strict=True))

    def failures(self, stage: StageName | None = None) -> list[dict[str, Any]]:
        """Return the latest failure of each of the videos and stages, sorted.

        Args:
            stage: failures of this stage only; None for all.

        Raises:
            CorruptPartError, StorageError: see `index`.
        """
        if self._failures is None:
            self._failures = self.store.failures.read_files()
        rows = self.store.failures.latest(self._failures.values(), stage)
        return [row for row in rows if row["id"] in self._position]

    def merge_failures(self) -> None:
        """Merge the files of the log of failures if they are many.

        Raises:
            OSError: the log cannot be written.
            CorruptPartError, StorageError: see `index`.
        """
        if self._failures is not None and len(self._failures) >= MIN_FILES:
            self.store.failures.merge(self._failures)
            self._failures = self.store.failures.read_files()

    def _codes(self, video_ids: Sequence[str]) -> Any:
        return self._codes_v[[self._position[video_id] for video_id in video_ids]]

    def _has_rows(self, stage: StageName) -> Any:
        starts_v, ends_v = self.index(stage).ranges(self._codes_v)
        return ends_v > starts_v
