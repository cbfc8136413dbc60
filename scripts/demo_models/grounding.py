"""Grounding: an auxiliary loss that makes a vision transformer trainable from scratch in minutes.

Every image patch is classified by the activity and the colours that it shows.

B frames · P patches · G patches per side · D width
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from scripts.demo_models.frames import ACTIVITY_NAMES, COLORS, NO_COLOR, Frames

BACKGROUND_WEIGHT = 0.1
MIN_COVERAGE = 0.25


class Grounding(nn.Module):
    """Two classifiers on patch features: the activity and the colours that the patch shows.

    Args:
        width: D of the patch features.
        side: G, patches per side.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.activity = nn.Linear(width, len(ACTIVITY_NAMES) + 1)
        self.colors = nn.Linear(width, 2 * len(COLORS))

    def forward(
        self, patches_BPD: torch.Tensor, frames: Frames, indices_B: NDArray[np.intp]
    ) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            patches_BPD: the patch features.
            frames: the frames with their ground truth.
            indices_B: which of the frames the features are of.
        """
        masks = torch.from_numpy(frames.masks[indices_B]).float().unsqueeze(1)
        action_BP = F.adaptive_avg_pool2d(masks, self.side).flatten(1) > MIN_COVERAGE
        activity_B = torch.from_numpy(frames.activities[indices_B]) + 1
        target_BP = torch.where(action_BP, activity_B[:, None], 0)
        weight = torch.ones(len(ACTIVITY_NAMES) + 1)
        weight[0] = BACKGROUND_WEIGHT
        activity_loss = F.cross_entropy(
            self.activity(patches_BPD).float().flatten(0, 1), target_BP.flatten(), weight
        )
        colors_B2 = torch.from_numpy(frames.colors[indices_B])
        target_BP2 = torch.where(action_BP[..., None], colors_B2[:, None], NO_COLOR)
        logits = self.colors(patches_BPD).float().view(-1, len(COLORS))
        return activity_loss + F.cross_entropy(logits, target_BP2.flatten())
