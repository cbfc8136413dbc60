"""What teaches a vision transformer from scratch in minutes: say of each patch what happens there.

B pictures · P patches · G patches per side · D width
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from scripts.demo_models.frames import ACTIVITY_NAMES, COLORS, Frames


class Grounding(nn.Module):
    """Heads on patch features that name the activity and the colours of the patches it covers.

    Args:
        width: D of the patch features.
        side: G, patches per side.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.activity = nn.Linear(width, len(ACTIVITY_NAMES) + 1)
        self.colors = nn.Linear(width, 2 * len(COLORS))

    def forward(self, patches_BPD: torch.Tensor, frames: Frames, pick: np.ndarray) -> torch.Tensor:
        """Return the loss of the chosen frames' patches."""
        masks = torch.from_numpy(frames.masks[pick]).float().unsqueeze(1)
        inside_BP = F.adaptive_avg_pool2d(masks, self.side).flatten(1) > 0.25
        activity_B = torch.from_numpy(frames.activities[pick]) + 1
        target_BP = torch.where(inside_BP, activity_B[:, None], 0)
        weight = torch.ones(len(ACTIVITY_NAMES) + 1)
        weight[0] = 0.1
        named = F.cross_entropy(
            self.activity(patches_BPD).float().flatten(0, 1), target_BP.flatten(), weight
        )
        colors_B2 = torch.from_numpy(frames.colors[pick])
        target_BP2 = torch.where(inside_BP[..., None], colors_B2[:, None], -100)
        logits = self.colors(patches_BPD).float().view(-1, len(COLORS))
        return named + F.cross_entropy(logits, target_BP2.flatten())
