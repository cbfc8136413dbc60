"""Videos → batches, by the length and batch rules of a recipe.

N videos · T snippets · L reduced length · D feature width · C classes
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from exvad.baselines.common.system import Clips, LengthRule, Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


class VideoFeatures(Protocol):
    """The features and labels of a video, such as `exvad.store.examples.Example`."""

    @property
    def video_id(self) -> str:
        """Name of the video in messages."""

    @property
    def visual_TD(self) -> Floats:
        """Image features."""

    @property
    def text(self) -> Floats | None:
        """Text features, [D] of the video or [T, D] of its snippets; None without text."""

    @property
    def target_C(self) -> Floats:
        """Multi-hot labels, the normal class first; empty for a prediction."""


def reduce_length(rows_TD: Floats, rule: LengthRule, snippets: int) -> Floats:
    """Reduce the snippets of a video.

    Args:
        rows_TD: features of its snippets.
        rule: see `Recipe.length`.
        snippets: L.

    Returns:
        float32, [L, D] for "segments", else [min(T, L), D].
    """
    length = len(rows_TD)
    rows_TD = np.asarray(rows_TD, np.float32)
    if rule != "segments" and length <= snippets:
        return rows_TD
    if rule == "index":
        picked_LD: Floats = rows_TD[np.linspace(0, length - 1, snippets).astype(int)]
        return picked_LD
    bounds = np.linspace(0, length, snippets + 1).astype(int)
    # In an empty segment `reduceat` gives the row at its bound.
    sums_LD = np.add.reduceat(rows_TD, bounds[:-1], axis=0)
    counts_L1 = np.maximum(np.diff(bounds), 1)[:, None].astype(np.float32)
    means_LD: Floats = np.divide(sums_LD, counts_L1, dtype=np.float32)
    return means_LD


def collate(
    videos: Sequence[VideoFeatures], recipe: Recipe | None = None, numbers: Sequence[int] = ()
) -> Clips:
    """Combine videos into a batch, padded with zeros to the longest.

    Args:
        videos: the videos.
        recipe: reduces their lengths; None for full length.
        numbers: number of each video in the training set; empty for a prediction.
    """

    def reduced(rows_TD: Floats) -> torch.Tensor:
        if recipe is not None:
            rows_TD = reduce_length(rows_TD, recipe.length, recipe.snippets)
        return torch.from_numpy(np.ascontiguousarray(rows_TD, dtype=np.float32))

    visuals = [reduced(video.visual_TD) for video in videos]
    texts = [video.text for video in videos if video.text is not None]
    text = None
    if len(texts) == len(videos) and texts[0].ndim == 1:
        text = torch.from_numpy(np.stack(texts).astype(np.float32))
    elif len(texts) == len(videos):
        text = torch.nn.utils.rnn.pad_sequence([reduced(rows) for rows in texts], batch_first=True)
    return Clips(
        torch.nn.utils.rnn.pad_sequence(visuals, batch_first=True),
        torch.tensor([len(visual_TD) for visual_TD in visuals]),
        text,
        torch.from_numpy(np.stack([video.target_C for video in videos]).astype(np.float32)),
        torch.tensor(list(numbers) or [0] * len(videos)),
    )


def draw_batches(
    abnormal_N: NDArray[np.bool_], recipe: Recipe, seed: int
) -> Iterator[NDArray[np.intp]]:
    """Draw batches without end.

    Args:
        abnormal_N: which videos are abnormal.
        recipe: its batch rule. A batch is smaller where there are too few videos for it, but its
            halves stay equal.
        seed: another seed, other batches.

    Yields:
        The indices of the videos of a batch; with pairs first the normal, then the abnormal ones.

    Raises:
        ValueError: there is no video, or pairs are needed and one kind is missing.
    """
    rng = np.random.default_rng(seed)
    if not recipe.pairs:
        if not len(abnormal_N):
            raise ValueError("there is no training video: preprocess the training split first")
        yield from _shuffled(np.arange(len(abnormal_N)), recipe.videos, rng)
        return
    normal, abnormal = np.flatnonzero(~abnormal_N), np.flatnonzero(abnormal_N)
    half = min(recipe.videos // 2, len(normal), len(abnormal))
    if not half:
        raise ValueError(
            f"a batch of this system needs normal and abnormal videos, but there are {len(normal)} "
            f"normal and {len(abnormal)} abnormal ones with features"
        )
    halves = zip(_shuffled(normal, half, rng), _shuffled(abnormal, half, rng), strict=True)
    yield from (np.concatenate(pair) for pair in halves)


def _shuffled(
    indices: NDArray[np.intp], size: int, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """Yield shares of a shuffled order, which is drawn again where less than a share is left."""
    size = min(size, len(indices))
    while True:
        order = rng.permutation(indices)
        for start in range(0, len(order) - size + 1, size):
            yield order[start : start + size]
