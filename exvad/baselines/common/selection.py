"""Means and losses of selected snippets.

B videos · T snippets · K selected snippets · D feature width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from exvad.modeling.losses import bce_loss


def mean_score_loss(logits_BK: torch.Tensor, abnormal_B: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy between labels and the mean scores of selected snippets.

    Args:
        logits_BK: scores of the selected snippets before the sigmoid.
        abnormal_B: labels, bool or 0 and 1.
    """
    count = logits_BK.shape[1]
    lengths_B = torch.full((len(logits_BK),), count, device=logits_BK.device)
    # With a divisor of 1 every one of the K snippets counts.
    return bce_loss(logits_BK, abnormal_B, lengths_B, divisor=1)


def pick(x_BTD: torch.Tensor, picked_BK: torch.Tensor) -> torch.Tensor:
    """Return the features of picked snippets, [B, K, D].

    Args:
        x_BTD: features.
        picked_BK: indices of snippets.
    """
    return x_BTD.gather(1, picked_BK[..., None].expand(-1, -1, x_BTD.shape[-1]))


def roughness(scores_BT: torch.Tensor) -> torch.Tensor:
    """Return the sum of squared differences of neighbouring scores within videos."""
    return scores_BT.diff(dim=1).square().sum()


def top_snippet_loss(logits_BT2: torch.Tensor, abnormal_B: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of the most abnormal snippet of each video, by its confidence.

    Args:
        logits_BT2: logits of normal and abnormal.
        abnormal_B: labels, bool or 0 and 1.
    """
    rows_B = torch.arange(len(logits_BT2), device=logits_BT2.device)
    top_B2 = logits_BT2[rows_B, (logits_BT2[..., 1] - logits_BT2[..., 0]).argmax(1)]
    confidence_B = top_B2.detach().softmax(-1).amax(-1)
    losses_B = F.cross_entropy(top_B2, abnormal_B.long(), reduction="none")
    return (confidence_B * losses_B).mean()


def spread_loss(scores_BT: torch.Tensor, abnormal_B: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy between labels and the range of the scores of each video.

    Args:
        scores_BT: scores, 0 to 1.
        abnormal_B: labels, bool or 0 and 1.
    """
    spread_B = (scores_BT.amax(1) - scores_BT.amin(1)).clamp(0, 1)
    return F.binary_cross_entropy(spread_B, abnormal_B.to(spread_B))
