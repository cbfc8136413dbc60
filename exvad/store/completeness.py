"""Which videos have all their features in a store, and what the others lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from exvad.store.store import Store

TextKind = Literal["none", "captions", "explanation"]

LAYOUT = ("video_id", "chunk", "crop", "first_snippet", "num_chunks", "times")

Chunks = list[tuple[int, int, np.ndarray[Any, Any]]]  # (chunk, first snippet, times) in order


class MissingFeaturesError(ValueError):
    """Features of some videos are not (all) in the store.

    Attributes:
        missing: video → what is missing of it.
    """

    def __init__(self, missing: Mapping[str, str]) -> None:
        self.missing = dict(missing)
        shown = [f"  {video}: {reason}" for video, reason in list(self.missing.items())[:10]]
        if len(self.missing) > 10:
            shown.append(f"  … and {len(self.missing) - 10} more")
        super().__init__(
            "\n".join(
                [
                    f"the store lacks features of {len(self.missing)} videos:",
                    *shown,
                    "Preprocess again: only what is missing is done.",
                ]
            )
        )


def missing_features(
    store: Store, video_ids: Sequence[str], text: TextKind = "none", crop: int = 0
) -> dict[str, str]:
    """What of these videos the store does not have (yet): video → reason; reads no features.

    Args:
        store: the feature store.
        video_ids: which videos.
        text: "none" needs the vision stage alone, the others the language stage too.
        crop: which crop of the frames.

    Raises:
        ValueError: there is no such stage.
    """
    return survey(store, video_ids, text, crop)[1]


def survey(
    store: Store, video_ids: Sequence[str], text: TextKind, crop: int
) -> tuple[dict[str, Chunks], dict[str, str]]:
    """The chunks of each video, in order, and what `missing_features` returns."""
    layout: dict[str, Chunks] = {video: [] for video in video_ids}
    planned: dict[str, set[int]] = {video: set() for video in video_ids}
    for table in store.read_stage("vision").iter_tables(LAYOUT, video_ids):
        for row in table.to_pylist():
            if row["crop"] == crop:
                times = np.asarray(row["times"], np.float64)
                layout[row["video_id"]].append((row["chunk"], row["first_snippet"], times))
                planned[row["video_id"]].add(row["num_chunks"])
    explained = {(video,) for video in video_ids}
    if text != "none":
        explained = store.read_stage("language").keys()
    missing = {}
    for video in video_ids:
        chunks = layout[video]
        chunks.sort(key=lambda chunk: chunk[0])
        reason = _incomplete(chunks, planned[video])
        if reason is None and (video,) not in explained:
            reason = "no explanation"
        if reason is not None:
            missing[video] = reason
    return layout, missing


def _incomplete(chunks: Chunks, planned: set[int]) -> str | None:
    if not chunks:
        return "no features"
    if len(planned) > 1:
        return f"its chunks disagree on how many there are ({sorted(planned)}): the file changed"
    count = planned.pop()
    if len(chunks) < count:
        return f"{len(chunks)} of {count} chunks"
    expected = 0
    for chunk, first, times in chunks:
        if first != expected:
            return f"chunk {chunk} starts at snippet {first}, not {expected}: the file changed"
        expected += len(times)
    return None
