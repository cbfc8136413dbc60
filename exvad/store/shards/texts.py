"""The text features of the videos of a training process, in bounded memory.

T snippets · L shortened length · c captions of a video · D feature width
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.store.completeness import MissingFeaturesError, VideoCrop, check_encoder
from exvad.store.examples import VideoInput, shorten, snippet_text
from exvad.store.grounding import (
    RECORD_COLUMNS,
    shortened_places,
    text_columns,
    text_rows,
    text_width,
)
from exvad.store.shards.ragged import RaggedRows
from exvad.store.survey import NO_EXPLANATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.schema import TextKind
    from exvad.store.store import Stage, Store


class ShardTexts:
    """Text features, read by video: float16, or float32 of a video that was shortened.

    Args:
        rows: the features, in the order of `lengths`.
        lengths: video → T.
        snippets: video → the snippets of its captions [c]; None for explanations.
        max_snippets: L.
        grounded: whether the rows are those of `exvad.store.grounding`, and float16 always.
    """

    def __init__(
        self,
        rows: RaggedRows,
        lengths: Mapping[str, int],
        snippets: Mapping[str, Sequence[int]] | None,
        max_snippets: int,
        grounded: bool = False,
    ) -> None:
        self._rows, self._lengths = rows, lengths
        self._snippets, self._max_snippets = snippets, max_snippets
        self.grounded = grounded
        self._row = {video: row for row, video in enumerate(lengths)}

    def read(self, video: str) -> tuple[NDArray[Any], Sequence[int] | None]:
        """Return `text` and `caption_snippets` of a `VideoInput`.

        The snippets of a grounded text are the rows of the shortened video.
        """
        row = self._row[video]
        if self._snippets is None:
            return self._rows.read(row)[0], None
        if self.grounded:
            places = shortened_places(
                self._snippets[video], self._lengths[video], self._max_snippets
            )
            return self._rows.read(row), places
        if self._lengths[video] > self._max_snippets:
            return self._rows.read_wide(row, self._max_snippets), None
        return self._rows.read(row), self._snippets[video]


@dataclass(frozen=True)
class TextPlan:
    """What the language stage has of some videos, found before the features are read.

    Args:
        stage: the language stage.
        lengths: video → T.
        snippets: video → the snippets of its captions [c]; None for explanations.
        max_snippets: L.
        rows: how many rows of float16 each video needs.
        text: which text features.
    """

    stage: Stage
    lengths: dict[str, int]
    snippets: dict[str, list[int]] | None
    max_snippets: int
    rows: list[int]
    text: TextKind

    @property
    def width(self) -> int:
        """Columns of a row."""
        return text_width(self.text, self.stage.width or 0)

    @classmethod
    def find(
        cls,
        store: Store,
        lengths: Mapping[VideoCrop, int],
        text: TextKind,
        max_snippets: int,
    ) -> TextPlan:
        """Find the texts of the videos.

        Args:
            store: the feature store.
            lengths: (video, crop) → T.
            text: which text features.
            max_snippets: L.

        Raises:
            MissingFeaturesError: a video has none.
            ValueError: they belong to other image features, or to those of another encoder.
        """
        stage = store.read_stage("language")
        check_encoder(store.read_stage("vision"), stage)
        of_video: dict[str, int] = {}
        for (video, crop), length in lengths.items():
            if of_video.setdefault(video, length) != length:
                raise ValueError(f"crop {crop} of {video} has another length than its other crops")
        snippets: dict[str, list[int]] = {}
        for table in stage.iter_tables(["caption_snippets"], of_video):
            columns = (table["video_id"].to_pylist(), table["caption_snippets"].to_pylist())
            snippets.update(zip(*columns, strict=True))
        for video, captioned_c in snippets.items():
            if any(snippet >= of_video[video] for snippet in captioned_c):
                raise ValueError(
                    f"the language stage of {store.root} has captions of snippets that {video} "
                    "does not have: it was made from other vision features. Make it again with "
                    "--fresh."
                )
        missing = {video: NO_EXPLANATION for video in of_video if video not in snippets}
        if missing:
            raise MissingFeaturesError(missing)
        if text == "explanation":
            return cls(stage, of_video, None, max_snippets, [1] * len(of_video), text)
        if text == "grounded":
            rows = [max(1, len(snippets[video])) for video in of_video]
            return cls(stage, of_video, snippets, max_snippets, rows, text)
        rows = [
            2 * max_snippets if length > max_snippets else max(1, len(snippets[video]))
            for video, length in of_video.items()
        ]
        return cls(stage, of_video, snippets, max_snippets, rows, text)

    def read(self, memory_bytes: int, folder: str) -> ShardTexts:
        """Read the features; see `RaggedRows`.

        Args:
            memory_bytes: how much may stay in memory.
            folder: folder for the rest; empty for the system's temporary folder.
        """
        texts = RaggedRows(self.rows, self.width, memory_bytes, folder)
        row_of = {video: row for row, video in enumerate(self.lengths)}
        grounded = self.text == "grounded"
        columns = [*text_columns(self.text), *(RECORD_COLUMNS if grounded else [])]
        for table in self.stage.iter_tables(columns, self.lengths):
            features = text_rows(table, self.text)
            for video, text_cD in zip(table["video_id"].to_pylist(), features, strict=True):
                length = self.lengths[video]
                if self.snippets is None or grounded or length <= self.max_snippets:
                    texts.write(row_of[video], 0, text_cD)
                    continue
                empty_T0 = np.empty((length, 0), np.float16)
                text_TD = snippet_text(VideoInput(video, empty_T0, text_cD, self.snippets[video]))
                assert text_TD is not None, "there are captions"
                texts.write_wide(row_of[video], shorten(text_TD, self.max_snippets))
        return ShardTexts(texts, self.lengths, self.snippets, self.max_snippets, grounded)
