"""The two-layer perceptron with QuickGELU that the local transformer and the classifier share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

QUICK_GELU_SLOPE = 1.702


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """Return QuickGELU, x · sigmoid(1.702 x), of a tensor of any shape."""
    return F.silu(QUICK_GELU_SLOPE * x) / QUICK_GELU_SLOPE


class FeedForward(nn.Module):
    """FFN: width → hidden → width, with QuickGELU after the first layer.

    Args:
        width: size of input and output.
        hidden: size of the hidden layer.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform [..., width] to [..., width]."""
        # QuickGELU with its two factors moved into the weights, which saves two elementwise passes
        # over the largest tensor of the network.
        slope = QUICK_GELU_SLOPE
        hidden = F.silu(F.linear(x, slope * self.expand.weight, slope * self.expand.bias))
        return F.linear(hidden, self.contract.weight / slope, self.contract.bias)
