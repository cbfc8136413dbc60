"""Features of any encoder → features that the network trains on equally well.

Encoders differ in the length of their vectors, in how much of a vector all snippets have in common,
and in how differently its coordinates vary. An initial learning rate that suits one of them leaves
the network for another nearly untrained.

N snippets or videos · D feature width · E width of the network
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

# The share of the mean standard deviation below which a coordinate is taken for constant. Dividing
# by less would make noise of it.
LEAST_DEVIATION = 0.05


class InputLayer(nn.Module):
    """Takes features to the width of the network, standardised before if so configured.

    A vector of zeros stands for missing text and stays zero.

    Args:
        width: D.
        network_width: E; if it is not D, a linear layer leads there.
        standardised: whether every coordinate gets mean 0 and variance 1. `set_statistics` must
            be called before training; until then nothing changes.
    """

    mean_D: torch.Tensor
    scale_D: torch.Tensor

    def __init__(self, width: int, network_width: int, standardised: bool) -> None:
        super().__init__()
        self.width = width
        self.standardised = standardised
        if standardised:
            self.register_buffer("mean_D", torch.zeros(width))
            self.register_buffer("scale_D", torch.ones(width))
        self.project = nn.Identity() if width == network_width else nn.Linear(width, network_width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Transform features, [..., D] to [..., E]."""
        if self.standardised:
            given = (features.abs().amax(-1, keepdim=True) > 0).to(features.dtype)
            features = (features - self.mean_D) * self.scale_D * given
        projected: torch.Tensor = self.project(features)
        return projected

    def set_statistics(self, chunks: Iterable[torch.Tensor]) -> None:
        """Set mean and scale to those of the training data, in one pass.

        Args:
            chunks: features of the training videos, [N, D] each; none leaves all as it is.
        """
        if not self.standardised:
            return
        count, sum_D, squares_D = 0, torch.zeros(()), torch.zeros(())
        for rows_ND in chunks:
            wide_ND = rows_ND.double()
            count += len(wide_ND)
            sum_D = sum_D + wide_ND.sum(0)
            squares_D = squares_D + wide_ND.square().sum(0)
        if not count:
            return
        mean_D = sum_D / count
        deviation_D = (squares_D / count - mean_D.square()).clamp_min(0).sqrt()
        least = LEAST_DEVIATION * deviation_D.mean()
        self.mean_D.copy_(mean_D)
        # Features that are all the same say nothing, whatever they are divided by.
        self.scale_D.copy_(deviation_D.clamp_min(least).clamp_min(1e-12).reciprocal())
