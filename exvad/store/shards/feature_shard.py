"""The share of a store's features that one training process reads, in bounded memory.

T snippets · t snippets of a chunk · L shortened length · D feature width
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.store.completeness import MissingFeaturesError, VideoCrop
from exvad.store.examples import VideoInput, shorten
from exvad.store.schema import feature_rows
from exvad.store.shards.ragged import RaggedRows
from exvad.store.shards.texts import ShardTexts, TextPlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.schema import TextKind
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
    """The features of some crops of some videos, read by video and crop.

    They are float16, as in the store. Only videos longer than the network's input are shortened
    once, when they are loaded, and are float32: float16 would round the means.

    Args:
        visual: image features of every video and crop, in the order of `lengths`.
        lengths: (video, crop) → T.
        max_snippets: L; a longer video has L rows in float32, see `rows_needed`.
        texts: text features of the videos; None without text.
    """

    def __init__(
        self,
        visual: RaggedRows,
        lengths: Mapping[VideoCrop, int],
        max_snippets: int,
        texts: ShardTexts | None = None,
    ) -> None:
        self._visual, self._texts = visual, texts
        self._lengths, self._max_snippets = lengths, max_snippets
        self._row = {key: row for row, key in enumerate(lengths)}

    def inputs(self, video: str, crop: int) -> VideoInput:
        """Return what the network needs of one crop of a video.

        Threads may call it concurrently.
        """
        key = (video, crop)
        long = self._lengths[key] > self._max_snippets
        visual_TD: NDArray[Any]
        if long:
            visual_TD = self._visual.read_wide(self._row[key], self._max_snippets)
        else:
            visual_TD = self._visual.read(self._row[key])
        if self._texts is None:
            return VideoInput(video, visual_TD, None)
        text, snippets = self._texts.read(video)
        return VideoInput(video, visual_TD, text, snippets, self._texts.grounded)

    @classmethod
    def load(
        cls,
        store: Store,
        lengths: Mapping[VideoCrop, int],
        text: TextKind,
        max_snippets: int,
        memory: ShardMemory,
    ) -> FeatureShard:
        """Read videos from a store, all crops in one pass; memory holds a few parts beside.

        Args:
            store: the feature store.
            lengths: (video, crop) → T, as `stored_lengths` returns it.
            text: which text features.
            max_snippets: L; longer videos are shortened to it.
            memory: how much stays in memory, and where the rest goes.

        Raises:
            MissingFeaturesError: a video is not as `lengths` says, or it has no text features.
            ValueError: there is no such stage, text and image features do not fit, or the disk has
                no room for what does not fit into memory.
            UnwritableError: the disk takes no more.
            CorruptPartError: a file of the store is damaged.
        """
        stage = store.read_stage("vision")
        width = stage.width or 0
        rows = [rows_needed(length, max_snippets) for length in lengths.values()]
        plan = None if text == "none" else TextPlan.find(store, lengths, text, max_snippets)
        text_bytes = 0 if plan is None else sum(plan.rows) * plan.width * 2
        _check_disk(sum(rows) * width * 2 + text_bytes, memory)
        remaining = max(0, memory.limit - text_bytes)
        visual = RaggedRows(rows, width, remaining, memory.folder)
        _read_visual(stage, lengths, max_snippets, visual)
        texts = None if plan is None else plan.read(memory.limit, memory.folder)
        return cls(visual, lengths, max_snippets, texts)


def rows_needed(length: int, max_snippets: int) -> int:
    """Return the rows of float16 that a video needs while it is loaded and afterwards.

    Args:
        length: T.
        max_snippets: L; a shortened video is float32 [L, D].
    """
    return length if length <= max_snippets else max(length, 2 * max_snippets)


def _read_visual(
    stage: Stage, lengths: Mapping[VideoCrop, int], max_snippets: int, visual: RaggedRows
) -> None:
    """Read the image features of all crops in one pass, in the order of `lengths`."""
    row_of = {key: row for row, key in enumerate(lengths)}
    unread = dict(lengths)
    for table in stage.iter_tables(["visual", "first_snippet"], {video for video, _ in lengths}):
        columns = (table[name].to_pylist() for name in ("video_id", "crop", "first_snippet"))
        features = feature_rows(table, "visual")
        for video, crop, first, visual_tD in zip(*columns, features, strict=True):
            key = (video, crop)
            if key not in unread or first + len(visual_tD) > lengths[key]:
                continue
            visual.write(row_of[key], first, visual_tD)
            unread[key] -= len(visual_tD)
            if not unread[key] and lengths[key] > max_snippets:
                whole_TD = visual.read(row_of[key], lengths[key]).astype(np.float32)
                visual.write_wide(row_of[key], shorten(whole_TD, max_snippets))
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
