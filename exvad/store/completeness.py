"""Find the videos whose features are complete in a store, and what is missing of the others.

t snippets of a chunk
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow.compute as pc

from exvad.store.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

TextKind = Literal["none", "captions", "explanation"]
VideoCrop = tuple[str, int]

_COLUMNS = ("video_id", "chunk", "crop", "first_snippet", "num_chunks", "times")
_MAX_SHOWN = 10


class StoredChunk(NamedTuple):
    """The position of a stored chunk in its video, and the times of its snippets in seconds."""

    chunk: int
    first_snippet: int
    num_chunks: int
    times_t: NDArray[np.float64]

    @property
    def extent(self) -> _Extent:
        """The chunk without its times."""
        return _Extent(self.chunk, self.first_snippet, self.num_chunks, len(self.times_t))


class _Extent(NamedTuple):
    """The position of a stored chunk in its video, and its number of snippets."""

    chunk: int
    first_snippet: int
    num_chunks: int
    snippets: int


class MissingFeaturesError(ValueError):
    """The store lacks features of some videos.

    Args:
        missing: video → what is missing.

    Attributes:
        missing: all of them; the message shows the first ten.
    """

    def __init__(self, missing: Mapping[str, str]) -> None:
        self.missing = dict(missing)
        shown = [f"  {video}: {reason}" for video, reason in self.missing.items()][:_MAX_SHOWN]
        if len(self.missing) > _MAX_SHOWN:
            shown.append(f"  … and {len(self.missing) - _MAX_SHOWN} more")
        lines = [
            f"the store lacks features of {len(self.missing)} videos:",
            *shown,
            "Preprocess again: only what is missing is computed.",
        ]
        super().__init__("\n".join(lines))


def missing_features(
    store: Store, video_ids: Sequence[str], text: TextKind = "none", crop: int = 0
) -> dict[str, str]:
    """Return what the store lacks of these videos, video → reason, without reading features.

    Args:
        store: the feature store.
        video_ids: which videos.
        text: "none" needs the vision stage only, the others the language stage too.
        crop: which crop of the frames.

    Raises:
        ValueError: there is no such stage.
    """
    return find_chunks(store, video_ids, text, crop)[1]


def find_chunks(
    store: Store, video_ids: Sequence[str], text: TextKind, crop: int
) -> tuple[dict[str, list[StoredChunk]], dict[str, str]]:
    """Return the stored chunks of each video, in order, and what `missing_features` returns."""
    chunks: dict[str, list[StoredChunk]] = {video: [] for video in video_ids}
    for table in store.read_stage("vision").iter_tables(_COLUMNS, video_ids):
        for row in table.to_pylist():
            if row["crop"] == crop:
                times_t = np.asarray(row["times"], np.float64)
                position = (row["chunk"], row["first_snippet"], row["num_chunks"])
                chunks[row["video_id"]].append(StoredChunk(*position, times_t))
    explained: Collection[tuple[str, ...]] = {(video,) for video in video_ids}
    if text != "none":
        explained = store.read_stage("language").keys()
    missing = {}
    for video, video_chunks in chunks.items():
        video_chunks.sort(key=lambda chunk: chunk.chunk)
        reason = _incomplete([chunk.extent for chunk in video_chunks])
        if reason is None and (video,) not in explained:
            reason = "no explanation"
        if reason is not None:
            missing[video] = reason
    return chunks, missing


def stored_lengths(
    store: Store, crops: Mapping[str, Collection[int]], text: TextKind
) -> tuple[dict[VideoCrop, int], dict[VideoCrop, str]]:
    """Return how many snippets are stored of each crop of some videos, without reading features.

    All crops are found in one pass over the store.

    Args:
        store: the feature store.
        crops: video → its crops.
        text: "none" needs the vision stage only, the others the language stage too.

    Returns:
        (video, crop) → T of those that are complete, and (video, crop) → what is missing of the
        others.

    Raises:
        ValueError: there is no such stage.
    """
    extents: dict[VideoCrop, list[_Extent]] = {
        (video, crop): [] for video, its_crops in crops.items() for crop in its_crops
    }
    names = ("video_id", "crop", "chunk", "first_snippet", "num_chunks")
    for table in store.read_stage("vision").iter_tables(_COLUMNS, crops):
        columns = [table[name].to_pylist() for name in names]
        lengths = pc.list_value_length(table["times"]).to_pylist()
        for video, crop, chunk, first, count, length in zip(*columns, lengths, strict=True):
            if (video, crop) in extents:
                extents[video, crop].append(_Extent(chunk, first, count, length))
    explained: Collection[tuple[str, ...]] | None = None
    if text != "none":
        explained = store.read_stage("language").keys()
    complete, missing = {}, {}
    for key, of_video in extents.items():
        reason = _incomplete(sorted(of_video))
        if reason is None and explained is not None and key[:1] not in explained:
            reason = "no explanation"
        if reason is None:
            complete[key] = sum(extent.snippets for extent in of_video)
        else:
            missing[key] = reason
    return complete, missing


def _incomplete(chunks: Sequence[_Extent]) -> str | None:
    """Return what is wrong with the chunks of a video, or None if they are complete."""
    if not chunks:
        return "no features"
    counts = {chunk.num_chunks for chunk in chunks}
    if len(counts) > 1:
        listed = sorted(counts)
        return f"its chunks disagree on the number of chunks ({listed}): the file changed"
    count = counts.pop()
    if len(chunks) < count:
        return f"{len(chunks)} of {count} chunks"
    snippet = 0
    for chunk in chunks:
        if chunk.first_snippet != snippet:
            return (
                f"chunk {chunk.chunk} starts at snippet {chunk.first_snippet}, not {snippet}: "
                "the file changed"
            )
        snippet += chunk.snippets
    return None
