"""Whether the stored chunks of videos are complete, and what is missing if they are not.

k entries of a stage · v videos
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.index.key_rows import Entries
    from exvad.store.index.stage_index import StageIndex

NO_FEATURES = "no features"


def find_missing(
    index: StageIndex, codes_v: NDArray[np.uint64], crop: int
) -> tuple[dict[int, str], NDArray[np.int64]]:
    """Find the videos whose chunks are not all stored.

    Args:
        index: of the vision stage.
        codes_v: codes of the videos.
        crop: which crop of the frames.

    Returns:
        What is missing, for the position of each video that lacks something; and the number of
        stored snippets of each video, [v].
    """
    has_crop_k = index.entries_k["crops"] >> np.uint64(crop) & np.uint64(1)
    entries_k = index.entries_k[has_crop_k.astype(bool)]
    # Of a chunk that was stored twice the first entry counts.
    is_first_k = np.ones(len(entries_k), bool)
    is_first_k[1:] = (entries_k["video"][1:] != entries_k["video"][:-1]) | (
        entries_k["chunk"][1:] != entries_k["chunk"][:-1]
    )
    entries_k = entries_k[is_first_k]
    starts_v = np.searchsorted(entries_k["video"], codes_v, "left")
    ends_v = np.searchsorted(entries_k["video"], codes_v, "right")
    snippets_k = np.concatenate([[0], np.cumsum(entries_k["snippets"], dtype=np.int64)])
    missing = {}
    for position in np.flatnonzero(
        ~_are_complete(entries_k, snippets_k, starts_v, ends_v)
    ).tolist():
        missing[position] = _describe(entries_k[starts_v[position] : ends_v[position]])
    return missing, snippets_k[ends_v] - snippets_k[starts_v]


def _are_complete(
    entries_k: Entries,
    snippets_k: NDArray[np.int64],
    starts_v: NDArray[np.intp],
    ends_v: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Return for each video whether its chunks follow one another and are as many as they say."""
    if not len(entries_k):
        return np.zeros(len(starts_v), bool)
    _, begins, counts = np.unique(entries_k["video"], return_index=True, return_counts=True)
    begin_k = np.repeat(begins, counts)
    is_wrong_k = (entries_k["first_snippet"] != snippets_k[:-1] - snippets_k[begin_k]) | (
        entries_k["num_chunks"] != entries_k["num_chunks"][begin_k]
    )
    wrong_k = np.concatenate([[0], np.cumsum(is_wrong_k)])
    first_v = np.minimum(starts_v, len(entries_k) - 1)
    counts_v = ends_v - starts_v
    is_whole_v = counts_v == entries_k["num_chunks"][first_v]
    complete_v: NDArray[np.bool_] = (
        (counts_v > 0) & is_whole_v & (wrong_k[ends_v] == wrong_k[starts_v])
    )
    return complete_v


def _describe(chunks: Entries) -> str:
    """Return what is wrong with the chunks of a video, which are not complete."""
    if not len(chunks):
        return NO_FEATURES
    counts = sorted(set(chunks["num_chunks"].tolist()))
    if len(counts) > 1:
        return f"its chunks disagree on the number of chunks ({counts}): the file changed"
    if len(chunks) < counts[0]:
        return f"{len(chunks)} of {counts[0]} chunks"
    snippet = 0
    for chunk in chunks:
        if chunk["first_snippet"] != snippet:
            break
        snippet += int(chunk["snippets"])
    return (
        f"chunk {chunk['chunk']} starts at snippet {chunk['first_snippet']}, not {snippet}: "
        "the file changed"
    )
