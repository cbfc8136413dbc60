"""A sample of the stored image features of many videos, in bounded memory.

T snippets of a video · t snippets of a chunk · D feature width
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.store.schema import feature_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.feature_bank import FeatureBank
    from exvad.store.store import Store

MAX_VIDEOS = 2000
MAX_SNIPPETS = 32  # of a video: neighbouring snippets are much alike


def sample_snippets(
    store: Store, lengths: Mapping[str, int], crop: int = 0
) -> list[NDArray[np.float16]]:
    """Read evenly spread snippets of evenly spread videos from a store, in one pass.

    Args:
        store: the feature store.
        lengths: video → T.
        crop: which crop of the frames.

    Returns:
        Image features of at most 32 snippets of each of at most 2,000 videos; the snippets of a
        video in order of time.

    Raises:
        ValueError: there is no vision stage.
        CorruptPartError: a file of the store is damaged.
    """
    wanted = {video: spread(lengths[video], MAX_SNIPPETS) for video in sampled_videos(lengths)}
    parts: dict[str, dict[int, NDArray[Any]]] = {video: {} for video in wanted}
    stage = store.read_stage("vision")
    for table in stage.iter_tables(["visual", "first_snippet"], wanted):
        columns = (table[name].to_pylist() for name in ("video_id", "crop", "first_snippet"))
        rows = zip(*columns, feature_rows(table, "visual"), strict=True)
        for video, row_crop, first, visual_tD in rows:
            snippets = wanted[video] - first
            inside = snippets[(snippets >= 0) & (snippets < len(visual_tD))]
            if row_crop == crop and len(inside):
                parts[video][first] = visual_tD[inside]
    return [
        np.concatenate([chunks[first] for first in sorted(chunks)])
        for chunks in parts.values()
        if chunks
    ]


def bank_snippets(bank: FeatureBank, video_ids: Iterable[str]) -> list[NDArray[np.float16]]:
    """Return the same sample of videos whose features are in memory already.

    Args:
        bank: the features.
        video_ids: which videos; those that the bank lacks are left out.
    """
    sample = []
    for video in sampled_videos(video for video in video_ids if video in bank):
        visual_TD = bank.inputs(video).visual
        sample.append(visual_TD[spread(len(visual_TD), MAX_SNIPPETS)])
    return sample


def sampled_videos(video_ids: Iterable[str]) -> Sequence[str]:
    """Return at most 2,000 videos, evenly spread over all of them."""
    videos = list(video_ids)
    return [videos[row] for row in spread(len(videos), MAX_VIDEOS)]


def spread(count: int, limit: int) -> NDArray[np.int64]:
    """Return at most `limit` indices below `count`, evenly spread and ascending."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, limit)).round().astype(np.int64))
