"""Alignment of fused features with label embeddings, M = ⟨F_F, F_L⟩ (paper 3.4).

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

import torch
from torch import nn

from exvad.modeling.cosine import reciprocal_length


def alignment_map(fused_BTD: torch.Tensor, label_CD: torch.Tensor) -> torch.Tensor:
    """Return M [B, T, C], the cosine of every snippet with every label, -1 to 1.

    Args:
        fused_BTD: F_F.
        label_CD: F_L, of unit length.
    """
    # The C products of a snippet are divided by its length, rather than its D features.
    return fused_BTD @ label_CD.mT * reciprocal_length(fused_BTD)


class LabelAdapter(nn.Module):
    """Lets training move the label embeddings: F_L + g ⊙ F_L + b.

    Scale g and shift b are shared by the classes and start at 0, so training starts from F_L. With
    F_L frozen, λ·L_cts would have nothing to train.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_D = nn.Parameter(torch.zeros(width))
        self.shift_D = nn.Parameter(torch.zeros(width))

    def forward(self, label_CD: torch.Tensor) -> torch.Tensor:
        """Transform [C, D]."""
        return label_CD + torch.addcmul(self.shift_D, self.scale_D, label_CD)


class LearnablePrompt(nn.Module):
    """A prompt learned in CLIP's feature space: an offset for all classes and one for each.

    Stands for context tokens learned before the text encoder, which would have to run in every
    training step. The common offset lets classes seen seldom move with the others. Both start at 0.

    Args:
        num_classes: C.
        width: D.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.shared_D = nn.Parameter(torch.zeros(width))
        self.class_CD = nn.Parameter(torch.zeros(num_classes, width))

    def forward(self, label_CD: torch.Tensor) -> torch.Tensor:
        """Transform [C, D]."""
        return label_CD + self.shared_D + self.class_CD
