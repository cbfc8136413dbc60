"""Batches, padding and the training step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.inference.network import build_network
from exvad.store.examples import Example, collate, shorten, snippet_text
from exvad.store.feature_bank import VideoFeatures
from exvad.training.trainer import NotFiniteError, Trainer, epoch_batches, without_text
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples


def targets(abnormal: list[bool]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = np.zeros((len(abnormal), 3), np.float32)
    rows[np.arange(len(abnormal)), np.array(abnormal, dtype=int)] = 1
    return rows


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 20))
def test_shortening_averages_nearly_equal_shares(length: int, limit: int) -> None:
    rows = np.random.default_rng(length).normal(size=(length, 3)).astype(np.float32)
    short = shorten(rows, limit)
    assert len(short) == min(length, limit)
    if length > limit:
        edges = np.linspace(0, length, limit + 1).astype(int)
        literal = [rows[a:b].mean(0) for a, b in itertools.pairwise(edges)]
        np.testing.assert_allclose(short, literal, rtol=1e-4, atol=1e-5)
        assert set(np.diff(edges)) <= {length // limit, length // limit + 1}


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 16), st.booleans())
def test_every_video_comes_once_an_epoch(abnormal: list[bool], size: int, balanced: bool) -> None:
    batches = epoch_batches(targets(abnormal), size, balanced, seed=3, epoch=2)
    assert sorted(np.concatenate(batches)) == list(range(len(abnormal)))
    again = epoch_batches(targets(abnormal), size, balanced, seed=3, epoch=2)
    assert all((one == two).all() for one, two in zip(batches, again, strict=True))


def test_balanced_batches_share_out_both_kinds_evenly() -> None:
    abnormal = [True] * 30 + [False] * 20
    for batch in epoch_batches(targets(abnormal), 10, True, seed=0, epoch=0):
        assert sum(index < 30 for index in batch) == 6
        assert sum(index >= 30 for index in batch) == 4


def test_epochs_differ_in_their_order() -> None:
    rows = targets([True, False] * 20)
    first, second = (np.concatenate(epoch_batches(rows, 8, True, 0, epoch)) for epoch in (0, 1))
    assert (first != second).any()


def test_padding_is_zero_and_lengths_are_kept() -> None:
    made = examples(3, seed=0)
    batch = collate(made)
    for row, example in enumerate(made):
        length = len(example.visual_TD)
        assert batch.lengths_B[row] == length
        assert (batch.visual_BTD[row, :length].numpy() == example.visual_TD).all()
        assert not batch.visual_BTD[row, length:].any()


def test_every_snippet_takes_the_nearest_caption() -> None:
    caption_cD = np.eye(3, WIDTH, dtype=np.float16)
    features = VideoFeatures(
        "v", np.zeros((10, WIDTH), np.float16), np.arange(10.0), caption_cD, [1, 5, 8],
        ["a"] * 3, ["a"] * 3, "", None, 160, 10.0,
    )  # fmt: skip
    text = snippet_text(features)
    assert text is not None
    assert text.argmax(1).tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]


@settings(deadline=None)
@given(st.floats(0, 1), st.booleans())
def test_text_is_taken_from_whole_videos_only(share: float, by_snippet: bool) -> None:
    rng = np.random.default_rng(1)
    made = [
        Example(
            example.video_id,
            example.visual_TD,
            np.ones((len(example.visual_TD), WIDTH) if by_snippet else WIDTH, np.float32),
            example.target_C,
        )
        for example in examples(40, seed=0)
    ]
    batch = collate(made)
    assert batch.text is not None
    left = without_text(batch, share, rng).text
    assert left is not None
    kept = [torch.equal(a, b) for a, b in zip(left, batch.text, strict=True)]
    assert all(keep or not row.any() for keep, row in zip(kept, left, strict=True))
    assert abs(np.mean(kept) - (1 - share)) < 0.35
    if share in (0, 1):
        assert sum(kept) == (1 - share) * len(kept)


def test_a_batch_without_text_stays_so() -> None:
    batch = collate(examples(3, seed=0))
    assert without_text(batch, 0.5, np.random.default_rng(0)).text is None


def make_trainer(rank: int = 0, world: int = 1) -> Trainer:
    torch.manual_seed(0)
    settings = config()
    network = build_network(settings, WIDTH, len(CLASSES))
    label_CD = torch.from_numpy(directions())
    device = torch.device("cpu")
    return Trainer(network, label_CD, settings.train, settings.model.tau, device, rank, world)


def test_training_lowers_the_loss() -> None:
    trainer, made = make_trainer(), examples(48, seed=1)
    losses = [trainer.train_epoch(made, epoch)["total"] for epoch in range(4)]
    assert losses[-1] < 0.8 * losses[0]


def test_a_loss_that_is_not_finite_names_its_videos() -> None:
    made = examples(6, seed=1)
    broken = np.full_like(made[2].visual_TD, np.nan)
    made[2] = Example("broken video", broken, None, made[2].target_C)
    with pytest.raises(NotFiniteError, match="broken video"):
        make_trainer().train_epoch(made, 0)


def test_workers_share_out_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    made = examples(30, seed=2)
    seen: dict[int, list[str]] = {0: [], 1: []}
    for rank in (0, 1):
        trainer = make_trainer(rank, world=2)
        step = trainer._step

        def noting(batch, epoch, rank=rank, step=step):  # type: ignore[no-untyped-def]
            seen[rank] += batch.video_ids
            return step(batch, epoch)

        monkeypatch.setattr(trainer, "_step", noting)
        trainer.train_epoch(made, 0)
    assert sorted(seen[0] + seen[1]) == sorted(example.video_id for example in made)
