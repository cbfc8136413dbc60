"""Which videos each worker holds, and which it trains on in each step of an epoch.

N examples · C classes
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


# What `train.batch_size=null` stands for: enough steps for small data sets, full steps for large.
STEPS_PER_EPOCH = 10
SMALLEST_BATCH, LARGEST_BATCH = 8, 128


def default_batch_size(examples: int) -> int:
    """Return the videos per step where `train.batch_size` is not set.

    Args:
        examples: number of training examples.
    """
    return min(max(examples // STEPS_PER_EPOCH, SMALLEST_BATCH), LARGEST_BATCH)


def epoch_batches(
    targets_NC: NDArray[np.float32],
    batch_size: int | None,
    balanced: bool,
    seed: int,
    epoch: int,
    *,
    rank: int = 0,
    steps: int | None = None,
) -> list[NDArray[np.intp]]:
    """Draw the batches of one epoch, every example once.

    Balanced batches all have the same share of normal and abnormal videos, up to one video. No
    video is repeated for that.

    Args:
        targets_NC: multi-hot labels, the normal class first.
        batch_size: maximum number of videos per batch; balanced batches may exceed it by one.
            None for `default_batch_size`.
        balanced: whether batches are balanced.
        seed: with the epoch and the rank it decides the order.
        epoch: index of the epoch.
        rank: index of the worker whose examples these are.
        steps: number of batches; None for as many as `batch_size` makes.

    Returns:
        The indices of the videos of each batch.
    """
    rng = np.random.default_rng([seed, epoch, rank])
    steps = steps or max(1, _steps(len(targets_NC), batch_size))
    parts = [
        np.array_split(rng.permutation(group), steps) for group in _groups(targets_NC, balanced)
    ]
    batches = [np.concatenate(shares) for shares in zip(*parts, strict=True)]
    return [batches[step] for step in rng.permutation(steps) if len(batches[step])]


def video_owners(
    video_ids: Sequence[str], targets_NC: NDArray[np.float32], workers: int
) -> NDArray[np.intp]:
    """Divide videos among workers: each example belongs to one, all crops of a video to the same.

    Every worker has nearly the same number of normal and of abnormal videos. They are neighbours
    in the data set, so they are mostly in the same parts of a store, and a worker reads few parts
    for them.

    Args:
        video_ids: the video of each example.
        targets_NC: multi-hot labels, the normal class first.
        workers: number of workers.

    Returns:
        The rank of the owner of each example [N].
    """
    first = {video: row for row, video in reversed(list(enumerate(video_ids)))}
    assert len(first) >= workers, "see TrainingVideos.check_enough"
    rows = np.sort(np.fromiter(first.values(), np.intp, len(first)))
    normal, abnormal = (rows[group] for group in _groups(targets_NC[rows], balanced=True))
    owners_N = np.zeros(len(video_ids), np.intp)
    # The first shares are the larger ones: the second group is dealt from the other end.
    for group, ranks in ((normal, range(workers)), (abnormal, reversed(range(workers)))):
        for rank, share in zip(ranks, np.array_split(group, workers), strict=True):
            owners_N[share] = rank
    return owners_N[[first[video] for video in video_ids]]


def worker_batches(
    video_ids: Sequence[str],
    targets_NC: NDArray[np.float32],
    batch_size: int | None,
    balanced: bool,
    seed: int,
    epoch: int,
    rank: int,
    workers: int,
) -> list[NDArray[np.intp]]:
    """Draw the batches of one epoch of one worker, every example that it owns once.

    All workers have the same number of batches; together, the batches of a step have about
    `batch_size` videos. A single worker has exactly the batches of `epoch_batches`.

    Args:
        video_ids: the video of each example of the whole training.
        targets_NC: their multi-hot labels, the normal class first.
        batch_size: videos per step of all workers together; None for `default_batch_size`.
        balanced: whether batches are balanced.
        seed: with the epoch and the rank it decides the order.
        epoch: index of the epoch.
        rank: index of the worker.
        workers: number of workers.

    Returns:
        The indices of the videos of each batch, among the examples of the whole training.
    """
    if workers == 1:
        return epoch_batches(targets_NC, batch_size, balanced, seed, epoch)
    owners_N = video_owners(video_ids, targets_NC, workers)
    steps = _steps(len(video_ids), batch_size)
    for other in range(workers):
        # A batch is not empty as long as the larger group lasts: a step waits for all workers.
        largest = max(len(group) for group in _groups(targets_NC[owners_N == other], balanced))
        steps = min(steps, largest)
    own = np.flatnonzero(owners_N == rank)
    batches = epoch_batches(
        targets_NC[own], batch_size, balanced, seed, epoch, rank=rank, steps=steps
    )
    return [own[batch] for batch in batches]


def _steps(examples: int, batch_size: int | None) -> int:
    return math.ceil(examples / (batch_size or default_batch_size(examples)))


def _groups(targets_NC: NDArray[np.float32], balanced: bool) -> list[NDArray[np.intp]]:
    """Return the examples of which every batch has the same share."""
    if not balanced:
        return [np.arange(len(targets_NC))]
    normal_N = targets_NC[:, 0] > 0
    return [np.flatnonzero(normal_N), np.flatnonzero(~normal_N)]
