"""Fusion of visual features F_V and text features F_T into F_F (MADM; paper, section 3.3).

The paper adds them in section 3.3 and concatenates them in section 4.1.

B videos · T snippets · D feature width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class VisualOnly(nn.Module):
    """No text: F_F = F_V."""

    def forward(self, visual_BTD: torch.Tensor, text: torch.Tensor | None) -> torch.Tensor:
        """Return F_V.

        Raises:
            ValueError: `text` is not None.
        """
        if text is not None:
            raise ValueError("this network was built without text: give none, or set model.text")
        return visual_BTD


class AddFusion(nn.Module):
    """F_F = F_V + F_T (paper 3.3)."""

    def forward(self, visual_BTD: torch.Tensor, text: torch.Tensor | None) -> torch.Tensor:
        """Fuse F_V [B, T, D] with F_T, [B, D] of videos or [B, T, D] of snippets.

        Raises:
            ValueError: `text` is None.
        """
        return visual_BTD + over_time(text)


class ConcatFusion(nn.Module):
    """F_F = W [F_V ; F_T] + b (paper 4.1).

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, width)

    def forward(self, visual_BTD: torch.Tensor, text: torch.Tensor | None) -> torch.Tensor:
        """Fuse F_V [B, T, D] with F_T, [B, D] of videos or [B, T, D] of snippets.

        Raises:
            ValueError: `text` is None.
        """
        return project_pair(self.linear, visual_BTD, over_time(text))


class GatedFusion(nn.Module):
    """F_F = F_V + g ⊙ F_T with g = sigmoid(W [F_V ; F_T] + b).

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)

    def forward(self, visual_BTD: torch.Tensor, text: torch.Tensor | None) -> torch.Tensor:
        """Fuse F_V [B, T, D] with F_T, [B, D] of videos or [B, T, D] of snippets.

        Raises:
            ValueError: `text` is None.
        """
        text_BTD = over_time(text)
        gate_BTD = project_pair(self.gate, visual_BTD, text_BTD).sigmoid()
        return torch.addcmul(visual_BTD, gate_BTD, text_BTD)


def over_time(text: torch.Tensor | None) -> torch.Tensor:
    """Return text features as [B, T, D], or as [B, 1, D] if there is one per video.

    Raises:
        ValueError: `text` is None.
    """
    if text is None:
        raise ValueError(
            "this network fuses text features, but the videos have none: run the language stage, "
            "or train with model.text=none"
        )
    return text.unsqueeze(1) if text.ndim == 2 else text


def project_pair(
    linear: nn.Linear, visual_BTD: torch.Tensor, text_BTD: torch.Tensor
) -> torch.Tensor:
    """Apply a layer 2D → D to the concatenation [visual ; text] without building it.

    A text feature of a whole video is then projected once and not once per snippet.

    Args:
        linear: the layer.
        visual_BTD: F_V.
        text_BTD: F_T, [B, T, D] or [B, 1, D].

    Returns:
        [B, T, D].
    """
    visual_weight, text_weight = linear.weight.chunk(2, dim=1)
    return F.linear(visual_BTD, visual_weight) + F.linear(text_BTD, text_weight, linear.bias)
