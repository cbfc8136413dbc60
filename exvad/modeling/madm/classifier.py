"""The coarse-grained anomaly classifier, s = sigmoid(FC(FFN(F_F) + F_F)) (MADM; equation 5).

B videos · T snippets · D feature width
"""

from __future__ import annotations

import torch
from torch import nn

from exvad.modeling.feed_forward import FeedForward


class AnomalyClassifier(nn.Module):
    """Gives every snippet an anomaly score s.

    Args:
        ffn: FFN, [B, T, D] → [B, T, D].
        width: D.
    """

    def __init__(self, ffn: FeedForward, width: int) -> None:
        super().__init__()
        self.ffn = ffn
        self.fc = nn.Linear(width, 1)

    def forward(self, fused_BTD: torch.Tensor) -> torch.Tensor:
        """Return logits of F_F, [B, T]: s of equation 5 before the sigmoid."""
        logits_BT1: torch.Tensor = self.fc(self.ffn(fused_BTD) + fused_BTD)
        return logits_BT1.squeeze(-1)
