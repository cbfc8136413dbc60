"""Gradient steps: repeatability, schedules and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from exvad.baselines.common.fitting import fit_baseline, total_steps
from exvad.baselines.common.system import Recipe
from exvad.baselines.real_ad import RealAD
from exvad.baselines.rtfm import RTFM
from tests.helpers import planted

RECIPE = Recipe(videos=8, pairs=True, length="segments", snippets=8, learning_rate=1e-3, steps=4)


def test_fit_repeats_with_equal_seeds() -> None:
    histories = []
    for seed in (0, 0, 1):
        torch.manual_seed(5)
        system = RTFM(planted.WIDTH)
        histories.append(fit_baseline(system, planted.examples(20, 0), RECIPE, seed))
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


def test_fit_reports_every_step_and_ends_in_evaluation_mode() -> None:
    seen: list[tuple[int, float]] = []
    system = RealAD(planted.WIDTH)
    history = fit_baseline(
        system,
        planted.examples(20, 0),
        RECIPE,
        on_step=lambda number, terms: seen.append((number, terms["total"])),
    )
    assert seen == [(number, terms["total"]) for number, terms in enumerate(history, 1)]
    assert len(seen) == 4
    for terms in history:
        parts = [value for name, value in terms.items() if name != "total"]
        assert abs(sum(parts) - terms["total"]) < 1e-4
    assert not system.training


def test_fit_names_the_videos_of_a_loss_that_is_not_finite() -> None:
    videos = planted.examples(8, 0)
    videos[3].visual_TD[:] = np.nan
    with pytest.raises(ValueError, match=r"the loss is nan in step 1 on the videos .*v3"):
        fit_baseline(RealAD(planted.WIDTH, normalize=False), videos, RECIPE)


def test_fit_needs_normal_and_abnormal_videos_for_pairs() -> None:
    normal = [video for video in planted.examples(8, 0) if video.target_C[0]]
    with pytest.raises(ValueError, match="4 normal and 0 abnormal"):
        fit_baseline(RealAD(planted.WIDTH), normal, RECIPE)


def test_an_epoch_of_pairs_uses_the_smaller_kind_once() -> None:
    epochs = replace(RECIPE, steps=0, epochs=3)
    assert total_steps(epochs, abnormal=12, videos=100) == 9
    assert total_steps(replace(epochs, pairs=False), abnormal=12, videos=100) == 36
    assert total_steps(RECIPE, abnormal=12, videos=100) == 4


def test_milestones_drop_the_rate_tenfold() -> None:
    weights = []
    for milestones in ((), (0.0,)):
        torch.manual_seed(0)
        system = RealAD(planted.WIDTH)
        before = system.hidden.weight.detach().clone()
        recipe = replace(RECIPE, steps=1, milestones=milestones, optimizer="adagrad")
        fit_baseline(system, planted.examples(20, 0), recipe)
        weights.append((system.hidden.weight - before).abs().max().item())
    assert abs(weights[0] / weights[1] - 10) < 0.1


def test_warm_up_raises_the_rate_from_the_first_step_on() -> None:
    changes = []
    for warm_up in (0.0, 1.0):
        torch.manual_seed(0)
        system = RealAD(planted.WIDTH)
        weights = [system.hidden.weight.detach().clone()]
        recipe = replace(RECIPE, warm_up=warm_up, optimizer="adagrad")

        def keep(_: int, __: dict[str, float], system: RealAD = system) -> None:
            weights.append(system.hidden.weight.detach().clone())  # noqa: B023

        fit_baseline(system, planted.examples(20, 0), recipe, on_step=keep)
        changes.append((weights[1] - weights[0]).abs().max().item())
    assert abs(changes[0] / changes[1] - RECIPE.steps) < 0.05


def test_betas_are_those_of_the_recipe() -> None:
    totals = []
    for betas in ((0.9, 0.999), (0.9, 0.98), (0.9, 0.999)):
        torch.manual_seed(0)
        recipe = replace(RECIPE, optimizer="adamw", betas=betas)
        history = fit_baseline(RealAD(planted.WIDTH), planted.examples(20, 0), recipe)
        totals.append([terms["total"] for terms in history])
    assert totals[0] == totals[2]
    assert totals[0] != totals[1]
