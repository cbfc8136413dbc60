"""Gradient steps: a system and training videos → the trained system.

N videos
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import torch

from exvad.baselines.common.sampling import VideoFeatures, collate, draw_batches
from exvad.baselines.common.system import Baseline, Recipe, set_progress

OnStep = Callable[[int, dict[str, float]], None]


class DivergedError(ValueError):
    """A loss or a score is not finite; the message says of which videos and what to do."""


def fit_baseline(
    system: Baseline,
    videos: Sequence[VideoFeatures],
    recipe: Recipe | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> list[dict[str, float]]:
    """Train a system on the device that it is on, and leave it in evaluation mode.

    Args:
        system: the system; its initial weights are the caller's.
        videos: training videos with labels.
        recipe: how to train; None for the system's own.
        seed: decides the batches, dropout and other noise.
        on_step: called with the number of each step, from 1, and its loss terms.

    Returns:
        The loss terms of every step, with their sum as `total`.

    Raises:
        ValueError: the videos do not suffice for a batch, have no text although the system needs
            it.
        DivergedError: the loss is not finite.
    """
    recipe = recipe or system.recipe
    targets_NC = np.stack([video.target_C for video in videos]) if videos else np.zeros((0, 1))
    abnormal_N = targets_NC[:, 0] == 0
    steps = total_steps(recipe, int(abnormal_N.sum()), len(abnormal_N))
    optimizer = _make_optimizer(system, recipe)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(recipe, steps))
    device = next(system.parameters()).device
    history: list[dict[str, float]] = []
    torch.manual_seed(seed)
    system.train()
    for number, indices in enumerate(islice(draw_batches(abnormal_N, recipe, seed), steps), 1):
        batch = [videos[index] for index in indices]
        set_progress(system, (number - 1) / steps)
        step = system.loss(collate(batch, recipe, indices.tolist()).to(device))
        total = step.total
        if not torch.isfinite(total):
            names = ", ".join(video.video_id for video in batch[:8])
            raise DivergedError(
                f"the loss is {total.item()} in step {number} on the videos {names}…: lower the "
                "learning rate, or check the features of these videos"
            )
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scheduler.step()
        terms = {name: value.item() for name, value in step.terms.items()}
        history.append({**terms, "total": total.item()})
        if on_step is not None:
            on_step(number, history[-1])
    system.eval()
    return history


def total_steps(recipe: Recipe, abnormal: int, videos: int) -> int:
    """Return the number of gradient steps of a training.

    With pairs, an epoch is over when the smaller kind of videos has been used once.

    Args:
        recipe: its `steps`, or `epochs` and batch rule.
        abnormal: number of abnormal training videos.
        videos: number of training videos.
    """
    if recipe.steps:
        return recipe.steps
    if recipe.pairs:
        smaller = min(abnormal, videos - abnormal)
        return recipe.epochs * max(1, smaller // max(1, recipe.videos // 2))
    return recipe.epochs * max(1, videos // recipe.videos)


def _make_optimizer(system: Baseline, recipe: Recipe) -> torch.optim.Optimizer:
    groups, decay = system.parameter_groups(recipe.learning_rate), recipe.weight_decay
    if recipe.optimizer == "adagrad":
        return torch.optim.Adagrad(groups, weight_decay=decay)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, betas=recipe.betas, weight_decay=decay)


def _schedule(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """Return the factor of the learning rate by the number of finished steps."""

    def factor(finished: int) -> float:
        share = finished / steps
        drops = sum(share >= milestone for milestone in recipe.milestones)
        cosine = 1.0
        if recipe.cosine:
            cosine = (1 + math.cos(math.pi * min(1.0, share / recipe.cosine))) / 2
        warm_up = 1.0
        if recipe.warm_up:
            # The first step has a rate above 0, else it would change nothing.
            warm_up = min(1.0, (finished + 1) / (recipe.warm_up * steps))
        return float(warm_up * cosine * 0.1**drops)

    return factor
