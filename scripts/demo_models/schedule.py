"""The learning-rate schedule of the three demo models."""

from __future__ import annotations

import math

import torch

WARM_UP_STEPS = 100


def set_learning_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, steps: int) -> None:
    """Set the learning rate of a step: linear warm-up, then half a cosine down to zero.

    Args:
        optimizer: the optimizer.
        peak: the highest learning rate.
        step: index of the step.
        steps: number of steps.
    """
    rate = (
        peak * min(1.0, (step + 1) / WARM_UP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    for group in optimizer.param_groups:
        group["lr"] = rate
