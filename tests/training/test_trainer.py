"""One epoch of training: batches, text dropout, gradient steps and data parallelism."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from exvad.inference.network import build_network
from exvad.store.examples import Example, collate
from exvad.training.trainer import NotFiniteError, Trainer, draw_adapted, drop_text
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples


@settings(deadline=None)
@given(st.floats(0, 1), st.booleans())
def test_drop_text_removes_the_text_of_whole_videos(share: float, by_snippet: bool) -> None:
    rng = np.random.default_rng(1)
    videos = [
        Example(
            example.video_id,
            example.visual_TD,
            np.ones((len(example.visual_TD), WIDTH) if by_snippet else WIDTH, np.float32),
            example.target_C,
        )
        for example in examples(40, seed=0)
    ]
    batch = collate(videos)
    assert batch.text is not None
    remaining = drop_text(batch, share, rng).text
    assert remaining is not None
    kept = [torch.equal(a, b) for a, b in zip(remaining, batch.text, strict=True)]
    assert all(keep or not row.any() for keep, row in zip(kept, remaining, strict=True))
    assert abs(np.mean(kept) - (1 - share)) < 0.35
    if share in (0, 1):
        assert sum(kept) == (1 - share) * len(kept)


def test_drop_text_leaves_a_batch_without_text_as_it_is() -> None:
    batch = collate(examples(3, seed=0))
    assert drop_text(batch, 0.5, np.random.default_rng(0)).text is None


@pytest.mark.parametrize(("share", "count"), [(0.9, 20), (0.5, 1), (1.0, 7), (0.25, 8)])
def test_draw_adapted_draws_a_share_and_at_least_one(share: float, count: int) -> None:
    rng, counts = np.random.default_rng(0), np.zeros(count)
    for _ in range(400):
        adapted_K = draw_adapted(count, share, rng)
        assert adapted_K is not None
        assert len(adapted_K) == max(1, round((1 - share) * count))
        assert (adapted_K.diff() > 0).all()
        counts[adapted_K.numpy()] += 1
    expected = 400 * max(1, round((1 - share) * count)) / count
    np.testing.assert_allclose(counts, expected, rtol=0.5)


def test_draw_adapted_without_dropout_leaves_the_batch_whole() -> None:
    assert draw_adapted(5, 0, np.random.default_rng(0)) is None


def make_trainer(rank: int = 0, world_size: int = 1) -> Trainer:
    torch.manual_seed(0)
    settings = config()
    network = build_network(settings, WIDTH, len(CLASSES))
    label_CD = torch.from_numpy(directions())
    device = torch.device("cpu")
    return Trainer(network, label_CD, settings.train, settings.model.tau, device, rank, world_size)


def test_steps_with_adapter_dropout_train_every_part_of_the_network() -> None:
    settings = config("model.skip=true", "train.adapter_dropout=0.9")
    torch.manual_seed(0)
    network = build_network(settings, WIDTH, len(CLASSES))
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    label_CD = torch.from_numpy(directions())
    trainer = Trainer(
        network, label_CD, settings.train, 0.07, torch.device("cpu"), adapter_dropout=0.9
    )
    for epoch in range(2):  # before the first step the last layer of the adapter is zero
        trainer.train_epoch(examples(24, seed=3), epoch)
    unchanged = [name for name, weight in network.named_parameters() if before[name].equal(weight)]
    assert not unchanged


def test_train_epoch_lowers_the_loss() -> None:
    trainer, videos = make_trainer(), examples(48, seed=1)
    losses = [trainer.train_epoch(videos, epoch)["total"] for epoch in range(4)]
    assert losses[-1] < 0.8 * losses[0]


def test_train_epoch_names_the_videos_of_a_loss_that_is_not_finite() -> None:
    videos = examples(6, seed=1)
    broken = np.full_like(videos[2].visual_TD, np.nan)
    videos[2] = Example("broken video", broken, None, videos[2].target_C)
    threads = threading.active_count()
    with pytest.raises(NotFiniteError, match="broken video"):
        make_trainer().train_epoch(videos, 0)
    assert threading.active_count() == threads


def test_train_epoch_divides_every_batch_among_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    videos = examples(30, seed=2)
    trained: dict[int, list[str]] = {0: [], 1: []}
    for rank in (0, 1):
        trainer = make_trainer(rank, world_size=2)
        step = trainer._step

        def record(batch, *rest, rank=rank, step=step):  # type: ignore[no-untyped-def]
            trained[rank] += batch.video_ids
            return step(batch, *rest)

        monkeypatch.setattr(trainer, "_step", record)
        trainer.train_epoch(videos, 0)
    assert sorted(trained[0] + trained[1]) == sorted(example.video_id for example in videos)


def test_trainer_state_is_on_the_cpu_though_the_network_is_on_a_gpu() -> None:
    """A driver without a GPU loads the state of workers with GPUs."""
    gpu = torch.device("cuda")
    with FakeTensorMode(allow_non_fake_inputs=True):
        network = torch.nn.Linear(WIDTH, 2, device=gpu)
        label_CD = torch.from_numpy(directions())
        trainer = Trainer(network, label_CD, config("train.learning_rate=0.1").train, 0.07, gpu)
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        trainer.optimizer.step()
        live = trainer.optimizer.state_dict()["state"][0]["exp_avg"]
        state = trainer.state(0)
        saved = state.optimizer["state"][0]
    assert live.device.type == "cuda"
    assert {value.device.type for value in saved.values()} == {"cpu"}


def test_trainer_takes_a_rate_that_suits_the_width() -> None:
    settings = config("train.learning_rate=null")
    network = build_network(settings, WIDTH, len(CLASSES))
    labels = torch.from_numpy(directions())
    trainer = Trainer(network, labels, settings.train, 0.07, torch.device("cpu"))
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.064 / WIDTH)
