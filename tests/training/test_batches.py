"""Batches of an epoch, and how examples are divided among workers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.training.batches import epoch_batches, video_owners, worker_batches

BATCHES_0_1 = [[3, 2], [5, 1, 6, 0], [7, 4]]


def targets(abnormal: list[bool]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = np.zeros((len(abnormal), 3), np.float32)
    rows[np.arange(len(abnormal)), np.array(abnormal, dtype=int)] = 1
    return rows


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 16), st.booleans())
def test_epoch_batches_contain_every_video_once(
    abnormal: list[bool], size: int, balanced: bool
) -> None:
    batches = epoch_batches(targets(abnormal), size, balanced, seed=3, epoch=2)
    assert sorted(np.concatenate(batches)) == list(range(len(abnormal)))
    again = epoch_batches(targets(abnormal), size, balanced, seed=3, epoch=2)
    assert all((one == two).all() for one, two in zip(batches, again, strict=True))


def test_epoch_batches_balance_normal_and_abnormal_videos() -> None:
    abnormal = [True] * 30 + [False] * 20
    for batch in epoch_batches(targets(abnormal), 10, True, seed=0, epoch=0):
        assert sum(index < 30 for index in batch) == 6
        assert sum(index >= 30 for index in batch) == 4


def test_epoch_batches_differ_between_epochs() -> None:
    rows = targets([True, False] * 20)
    first, second = (np.concatenate(epoch_batches(rows, 8, True, 0, epoch)) for epoch in (0, 1))
    assert (first != second).any()


def test_epoch_batches_of_a_single_worker_are_those_of_version_0_1() -> None:
    """A training of 0.1 that is repeated gives the same weights."""
    batches = epoch_batches(targets([True, False] * 4), 3, True, seed=7, epoch=1)
    assert [batch.tolist() for batch in batches] == BATCHES_0_1


@settings(deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=60),
    st.integers(1, 16),
    st.booleans(),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_worker_batches_are_disjoint_and_complete_in_every_epoch(
    abnormal: list[bool], size: int, balanced: bool, workers: int, crops: int
) -> None:
    workers = min(workers, len(abnormal))
    ids = [f"v{number}" for number in range(len(abnormal))] * crops
    labels = targets(abnormal * crops)
    owned: list[set[int]] = [set() for _ in range(workers)]
    for epoch in range(2):
        of_workers = [
            worker_batches(ids, labels, size, balanced, 3, epoch, rank, workers)
            for rank in range(workers)
        ]
        # Steps wait for all workers: one batch less on one of them would block the others.
        assert len({len(batches) for batches in of_workers}) == 1
        assert all(len(batch) for batches in of_workers for batch in batches)
        together = [np.concatenate(batches).tolist() for batches in of_workers]
        assert sorted(row for rows in together for row in rows) == list(range(len(ids)))
        for rank, rows in enumerate(together):
            assert epoch == 0 or owned[rank] == set(rows)
            owned[rank] = set(rows)


def test_worker_batches_of_one_worker_are_the_epoch_batches() -> None:
    labels = targets([True, False, False] * 9)
    ids = [str(number) for number in range(27)]
    alone = worker_batches(ids, labels, 4, True, 5, 2, rank=0, workers=1)
    expected = epoch_batches(labels, 4, True, 5, 2)
    assert all((one == two).all() for one, two in zip(alone, expected, strict=True))


def test_worker_batches_of_a_step_have_the_batch_size_together() -> None:
    labels = targets([True] * 300 + [False] * 200)
    ids = [str(number) for number in range(500)]
    of_workers = [worker_batches(ids, labels, 50, True, 0, 0, rank, 4) for rank in range(4)]
    for batches in zip(*of_workers, strict=True):
        step = np.concatenate(batches)
        assert 42 <= len(step) <= 58
        assert abs((step < 300).mean() - 0.6) < 0.1


@pytest.mark.parametrize("workers", [1, 3, 7])
def test_video_owners_hold_all_crops_and_nearly_equal_shares(workers: int) -> None:
    abnormal = [True] * 31 + [False] * 20
    ids = [f"v{number}" for number in range(51)]
    owners = video_owners(ids * 10, targets(abnormal * 10), workers)
    by_crop = owners.reshape(10, 51)
    assert (by_crop == by_crop[0]).all()
    counts = np.bincount(by_crop[0])
    normal = np.bincount(by_crop[0][31:], minlength=workers)
    assert max(counts) - min(counts) <= 1
    assert max(normal) - min(normal) <= 1
    # Neighbours in the data set: what a worker reads are few parts of a store.
    assert (np.diff(by_crop[0][31:]) >= 0).all()
