"""Alignment of fused features with label embeddings, M = ⟨F_F, F_L⟩ (LAAM; paper, section 3.4).

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from exvad.modeling.cosine import reciprocal_length


def alignment_map(fused_BTD: torch.Tensor, label_CD: torch.Tensor) -> torch.Tensor:
    """Return the alignment map M, the cosine of every snippet with every label.

    Args:
        fused_BTD: F_F.
        label_CD: F_L, of unit length.

    Returns:
        M, [B, T, C], -1 to 1.
    """
    # Scaling the C products of a snippet is cheaper than scaling its D features.
    return fused_BTD @ label_CD.mT * reciprocal_length(fused_BTD)


class LabelCentre(nn.Module):
    """Subtracts what all label embeddings have in common, so that they differ in direction.

    The cosine of two class names is often above 0.8. What they have in common distinguishes no
    class, and most of L_cts is about it.

    Args:
        width: D.
    """

    centre_D: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("centre_D", torch.zeros(width))

    def set_centre(self, label_CD: torch.Tensor) -> None:
        """Take the mean of the label embeddings for the centre.

        Args:
            label_CD: F_L of the training, of any length.
        """
        self.centre_D.copy_(F.normalize(label_CD, dim=-1).mean(0))

    def forward(self, label_CD: torch.Tensor) -> torch.Tensor:
        """Transform F_L of unit length, [C, D], to unit length again."""
        return F.normalize(label_CD - self.centre_D, dim=-1)


class LabelAdapter(nn.Module):
    """Makes the label embeddings trainable: F_L + g ⊙ F_L + b.

    All classes share the scale g and the shift b. Both start at 0, so training starts from F_L.
    With frozen label embeddings λ · L_cts would have no gradient.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_D = nn.Parameter(torch.zeros(width))
        self.shift_D = nn.Parameter(torch.zeros(width))

    def forward(self, label_CD: torch.Tensor) -> torch.Tensor:
        """Transform F_L, [C, D] to [C, D]."""
        return label_CD + torch.addcmul(self.shift_D, self.scale_D, label_CD)


class LearnablePrompt(nn.Module):
    """A learnable prompt in CLIP's feature space: a shared offset and one offset per class.

    It replaces learnable context tokens, for which the text encoder would run in every training
    step. With the shared offset rare classes move along with the others. Both offsets start at 0.

    Args:
        num_classes: C.
        width: D.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.shared_D = nn.Parameter(torch.zeros(width))
        self.class_CD = nn.Parameter(torch.zeros(num_classes, width))

    def forward(self, label_CD: torch.Tensor) -> torch.Tensor:
        """Transform F_L, [C, D] to [C, D]."""
        return label_CD + self.shared_D + self.class_CD
