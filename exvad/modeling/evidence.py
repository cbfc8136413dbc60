"""Evidence: a column beside the text feature says how much speaks for a snippet being abnormal.

Grounded text has it. The network need not infer from the words of a text whether the explanation
stands at a snippet.

B videos · T snippets · D feature width
"""

from __future__ import annotations

import torch
from torch import nn

COLUMNS = 1


class EvidenceInput(nn.Module):
    """Adds the evidence to fused features, along one trained direction.

    The direction starts at 0. A factor on the evidence lets it grow faster than the other weights.

    Args:
        width: D.
        scale: the factor; with 0 the evidence changes nothing.
    """

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.direction_D = nn.Parameter(torch.zeros(width))

    def forward(self, fused_BTD: torch.Tensor, evidence_BT1: torch.Tensor) -> torch.Tensor:
        """Return F_F with the evidence, [B, T, D].

        Args:
            fused_BTD: F_F.
            evidence_BT1: 0 to 1, [B, T, 1] of snippets or [B, 1, 1] of videos.
        """
        return torch.addcmul(fused_BTD, self.scale * evidence_BT1, self.direction_D)
