"""The share of a store's features that one training process reads, in bounded memory.

V videos · T snippets · c captions of a video · D feature width
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exvad.store.completeness import MissingFeaturesError, TextKind, VideoCrop
from exvad.store.examples import VideoInput
from exvad.store.ragged import RaggedRows
from exvad.store.schema import feature_rows

if TYPE_CHECKING:
    from exvad.store.store import Stage, Store

GIB = 2**30


@dataclass(frozen=True)
class ShardMemory:
    """Where a shard may be.

    Args:
        limit: bytes of features that may stay in memory.
        folder: folder on a local disk for the rest; empty for the system's temporary folder.
    """

    limit: int
    folder: str = ""


class FeatureShard:
    """The features of some crops of some videos, float16, read by video and crop.

    Args:
        visual: image features, one matrix [T, D] per video and crop.
        rows: (video, crop) → its matrix of `visual`.
        text: text features, one matrix [c, D], or [1, D] of the explanation, per video; None
            without text.
        text_rows: video → its matrix of `text`.
        caption_snippets: video → the snippets of its captions [c]; empty but for text "captions".
    """

    def __init__(
        self,
        visual: RaggedRows,
        rows: Mapping[VideoCrop, int],
        text: RaggedRows | None = None,
        text_rows: Mapping[str, int] | None = None,
        caption_snippets: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self._visual, self._rows = visual, rows
        self._text, self._text_rows = text, text_rows or {}
        self._caption_snippets = caption_snippets or {}

    def inputs(self, video: str, crop: int) -> VideoInput:
        """Return what the network needs of one crop of a video.

        Threads may call it concurrently.
        """
        visual_TD = self._visual.read(self._rows[video, crop])
        if self._text is None:
            return VideoInput(video, visual_TD, None, ())
        text_cD = self._text.read(self._text_rows[video])
        if video in self._caption_snippets:
            return VideoInput(video, visual_TD, text_cD, self._caption_snippets[video])
        return VideoInput(video, visual_TD, text_cD[0], ())

    @classmethod
    def load(
        cls,
        store: Store,
        lengths: Mapping[VideoCrop, int],
        text: TextKind,
        memory: ShardMemory,
    ) -> FeatureShard:
        """Read videos from a store, all crops in one pass; memory holds a few parts beside.

        Args:
            store: the feature store.
            lengths: (video, crop) → T, as `stored_lengths` returns it.
            text: which text features.
            memory: how much stays in memory, and where the rest goes.

        Raises:
            MissingFeaturesError: a video is not as `lengths` says, or it has no text features.
            ValueError: there is no such stage, text and image features differ in width, or the
                disk has no room for what does not fit into memory.
            UnwritableError: the disk takes no more.
            CorruptPartError: a file of the store is damaged.
        """
        vision = store.read_stage("vision")
        width = vision.width or 0
        captions = None if text == "none" else _Texts.find(store, lengths, text, width)
        text_bytes = 0 if captions is None else captions.count * width * 2
        needed = sum(lengths.values()) * width * 2 + text_bytes
        _check_disk(needed, memory)
        visual = RaggedRows(
            list(lengths.values()), width, max(0, memory.limit - text_bytes), memory.folder
        )
        rows = {key: row for row, key in enumerate(lengths)}
        _read_visual(vision, rows, lengths, visual)
        if captions is None:
            return cls(visual, rows)
        return cls(visual, rows, captions.read(memory), captions.rows, captions.snippets)


@dataclass(frozen=True)
class _Texts:
    """What the language stage has of some videos, before the features are read."""

    stage: Stage
    column: str
    rows: dict[str, int]
    lengths: list[int]
    snippets: dict[str, list[int]]

    @property
    def count(self) -> int:
        return sum(self.lengths)

    @classmethod
    def find(
        cls, store: Store, lengths: Mapping[VideoCrop, int], text: TextKind, width: int
    ) -> _Texts:
        """Find the texts of the videos.

        Raises:
            MissingFeaturesError: a video has none.
            ValueError: they belong to other image features, or to those of another encoder.
        """
        stage = store.read_stage("language")
        if stage.width != width:
            raise ValueError(
                f"text features are {stage.width} wide, image features {width}: the stages of "
                f"{store.root} were made with different encoders"
            )
        shortest: dict[str, int] = {}
        for (video, _), length in lengths.items():
            shortest[video] = min(length, shortest.get(video, length))
        snippets: dict[str, list[int]] = {}
        for table in stage.iter_tables(["caption_snippets"], shortest):
            columns = (table["video_id"].to_pylist(), table["caption_snippets"].to_pylist())
            for video, of_video in zip(*columns, strict=True):
                if any(snippet >= shortest[video] for snippet in of_video):
                    raise ValueError(
                        f"the language stage of {store.root} has captions of snippets that "
                        f"{video} does not have: it was made from other vision features. Make it "
                        "again with --fresh."
                    )
                snippets[video] = of_video
        missing = {video: "no explanation" for video in shortest if video not in snippets}
        if missing:
            raise MissingFeaturesError(missing)
        rows = {video: row for row, video in enumerate(shortest)}
        if text == "explanation":
            return cls(stage, "text", rows, [1] * len(rows), {})
        counts = [len(snippets[video]) for video in rows]
        return cls(stage, "caption_text", rows, counts, snippets)

    def read(self, memory: ShardMemory) -> RaggedRows:
        """Read the features of the texts."""
        texts = RaggedRows(self.lengths, self.stage.width or 0, memory.limit, memory.folder)
        for table in self.stage.iter_tables([self.column], self.rows):
            features = feature_rows(table, self.column)
            for video, text_cD in zip(table["video_id"].to_pylist(), features, strict=True):
                texts.write(self.rows[video], 0, text_cD)
        return texts


def _read_visual(
    stage: Stage,
    rows: Mapping[VideoCrop, int],
    lengths: Mapping[VideoCrop, int],
    visual: RaggedRows,
) -> None:
    """Read the image features of all crops in one pass."""
    videos = {video for video, _ in rows}
    unread = dict(lengths)
    for table in stage.iter_tables(["visual", "first_snippet"], videos):
        columns = (table[name].to_pylist() for name in ("video_id", "crop", "first_snippet"))
        features = feature_rows(table, "visual")
        for video, crop, first, visual_tD in zip(*columns, features, strict=True):
            key = (video, crop)
            if key in rows:
                unread[key] -= len(visual_tD)
                if first + len(visual_tD) <= lengths[key]:
                    visual.write(rows[key], first, visual_tD)
    changed = {video: "its features changed" for (video, _), count in unread.items() if count}
    if changed:
        raise MissingFeaturesError(changed)


def _check_disk(needed: int, memory: ShardMemory) -> None:
    """Check that the disk has room for what does not fit into memory."""
    beyond = needed - memory.limit
    if beyond <= 0:
        return
    folder = memory.folder or tempfile.gettempdir()
    if not Path(folder).is_dir():
        raise ValueError(f"train.scratch {folder} is no folder on this node")
    free = shutil.disk_usage(folder).free
    if beyond > free:
        raise ValueError(
            f"the features of this worker take {needed / GIB:.1f} GiB: {memory.limit / GIB:.1f} "
            f"stay in memory, and {folder} has room for {free / GIB:.1f} of the rest. Set "
            "train.scratch to a folder with more room, raise train.cache_gib, or train with more "
            "workers (train.workers)."
        )
