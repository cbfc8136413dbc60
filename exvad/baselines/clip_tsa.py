"""CLIP-TSA: hard attention by perturbed top-k before RTFM's trunk (Joo et al., ICIP 2023).

A small scorer rates each snippet. Noise is added to the ratings many times, the highest k of each
draw are taken, and each snippet is scaled by the share of draws that took it. The gradient of that
share is estimated from the same draws.

The published code builds a one-hot tensor of draws × slots × snippets. Summed over the slots it is
the membership that is computed here.

B videos · T snippets · D feature width · N draws
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from exvad.baselines.common.system import Clips, Recipe
from exvad.baselines.rtfm import MagnitudeBaseline, MultiScaleTrunk, initialize, scoring_head

DRAWS, SIGMA = 100, 0.05


class PerturbedTopK(torch.autograd.Function):
    """The probability of each snippet to be among the highest k of noisy ratings."""

    @staticmethod
    def forward(
        ctx: Any, ratings_BT: torch.Tensor, noise_NBT: torch.Tensor, count: int
    ) -> torch.Tensor:
        """Return memberships [B, T], 0 to 1, which sum to k.

        Args:
            ctx: keeps the draws for the gradient.
            ratings_BT: ratings.
            noise_NBT: standard normal noise.
            count: k, 1 to T.
        """
        noisy_NBT = ratings_BT + SIGMA * noise_NBT
        highest_NBK = noisy_NBT.topk(count, dim=-1, sorted=False).indices
        taken_NBT = torch.zeros_like(noisy_NBT, dtype=torch.bool).scatter_(-1, highest_NBK, True)
        ctx.save_for_backward(taken_NBT, noise_NBT)
        return taken_NBT.mean(0, dtype=ratings_BT.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Return the estimated gradient of the ratings."""
        taken_NBT, noise_NBT = ctx.saved_tensors
        gain_NB1 = (taken_NBT * gradients[0]).sum(-1, keepdim=True)
        return (gain_NB1 * noise_NBT).mean(0) / SIGMA, None, None


class ClipTSA(MagnitudeBaseline):
    """RTFM behind a hard attention.

    Args:
        width: D, a multiple of 16.
        kappa: κ, the share of the snippets that is taken; 0.95 for UCF-Crime, 0.9 for XD-Violence.
        margin: see `MagnitudeBaseline`.
        test_seed: seed of the noise in evaluation mode, so that scores repeat; None draws new noise
            for every video, as the public code does.
        max_selected: largest k; the public code has 1000 in the test. None for no limit.
        smooth_across_videos: see `MagnitudeBaseline`.
    """

    recipe = Recipe(
        videos=32,
        pairs=True,
        length="segments",
        snippets=32,
        learning_rate=1e-3,
        weight_decay=0.005,
        steps=4_000,
    )

    def __init__(
        self,
        width: int,
        kappa: float = 0.95,
        margin: float = 100.0,
        test_seed: int | None = 0,
        max_selected: int | None = None,
        smooth_across_videos: bool = False,
    ) -> None:
        super().__init__(margin, smooth_across_videos=smooth_across_videos)
        self.kappa, self.test_seed, self.max_selected = kappa, test_seed, max_selected
        self.feature_width = width
        self.scorer = nn.Sequential(
            nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, 1), nn.Sigmoid()
        )
        initialize(self.scorer)
        self.trunk = MultiScaleTrunk(width)
        # Narrow features keep the head of D = 512: dropout would silence a handful of units.
        self.head = scoring_head(width, max(128, width // 4), max(32, width // 16))

    def mix(self, clips: Clips) -> torch.Tensor:
        """Return the trunk's features of the scaled snippets."""
        visual_BTD = clips.unpadded_BTD
        membership_BT = self.membership(visual_BTD)
        mixed_BTD: torch.Tensor = self.trunk(visual_BTD * membership_BT[..., None])
        return mixed_BTD

    def membership(self, visual_BTD: torch.Tensor) -> torch.Tensor:
        """Return the probability of each snippet to be taken, [B, T], 0 to 1."""
        ratings_BT = self.scorer(visual_BTD).squeeze(-1)
        count = max(1, int(self.kappa * ratings_BT.shape[1]))
        if self.max_selected is not None:
            count = min(count, self.max_selected)
        generator = None
        if not self.training and self.test_seed is not None:
            generator = torch.Generator(ratings_BT.device).manual_seed(self.test_seed)
        noise_NBT = torch.randn(
            DRAWS,
            *ratings_BT.shape,
            generator=generator,
            device=ratings_BT.device,
            dtype=ratings_BT.dtype,
        )
        membership_BT: torch.Tensor = PerturbedTopK.apply(ratings_BT, noise_NBT, count)
        return membership_BT
