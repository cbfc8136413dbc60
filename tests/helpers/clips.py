"""Batches of random features for the baselines.

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

import torch

from exvad.baselines.common.system import Clips


def paired_clips(
    videos: int,
    snippets: int,
    width: int,
    classes: int = 3,
    seed: int = 0,
    scale: float = 1.0,
    text_width: int = 0,
) -> Clips:
    """Return random videos of one length, the first half normal.

    Args:
        videos: B.
        snippets: T.
        width: D.
        classes: C.
        seed: another seed, other features.
        scale: standard deviation of the features.
        text_width: width of the snippets' text features; 0 for none.
    """
    generator = torch.Generator().manual_seed(seed)
    half = videos // 2
    labels_B = [0] * half + [1 + row % (classes - 1) for row in range(videos - half)]
    text_BTD = None
    if text_width:
        text_BTD = torch.randn(videos, snippets, text_width, generator=generator)
    return Clips(
        scale * torch.randn(videos, snippets, width, generator=generator),
        torch.full((videos,), snippets),
        text_BTD,
        torch.eye(classes)[labels_B],
        torch.arange(videos),
    )
