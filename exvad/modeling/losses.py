"""The losses (paper, section 3.5; equations 7 to 11), computed in float32 or wider.

B videos · T snippets · C classes · D feature width · K highest snippets
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from exvad.modeling.exvad import Output


class LossTerms(NamedTuple):
    """The loss and its terms, scalars.

    Args:
        total: L of equation 11.
        bce: L_BCE.
        mce: L_MCE.
        cts: L_cts, not yet weighted by λ.
    """

    total: torch.Tensor
    bce: torch.Tensor
    mce: torch.Tensor
    cts: torch.Tensor


def exvad_loss(
    output: Output,
    targets_BC: torch.Tensor,
    lengths_B: torch.Tensor,
    tau: float,
    lambda_: float,
    divisor: int = 16,
) -> LossTerms:
    """Return L = L_BCE + L_MCE + λ · L_cts (equation 11).

    Args:
        output: output of the network.
        targets_BC: multi-hot labels, the normal class first; at least one per video.
        lengths_B: number of valid snippets of each video, 1 to T.
        tau: τ.
        lambda_: λ.
        divisor: K = ⌊T / divisor⌋ + 1.
    """
    bce = bce_loss(output.logits_BT, 1 - targets_BC[:, 0], lengths_B, divisor)
    mce = alignment_loss(output.similarity_BTC, targets_BC, lengths_B, tau, divisor)
    cts = contrastive_loss(output.label_CD)
    return LossTerms(bce + mce + lambda_ * cts, bce, mce, cts)


def bce_loss(
    logits_BT: torch.Tensor, abnormal_B: torch.Tensor, lengths_B: torch.Tensor, divisor: int = 16
) -> torch.Tensor:
    """Return L_BCE between y and the mean of the K largest s of each video (equation 7).

    Args:
        logits_BT: s before the sigmoid.
        abnormal_B: y, 0 or 1.
        lengths_B: number of valid snippets of each video, 1 to T.
        divisor: K = ⌊T / divisor⌋ + 1.
    """
    logits_BK, counted_BK = _top_k(_wide(logits_BT), lengths_B, divisor)
    # The logarithms of the means of s and of 1 − s, exact also where s rounds to 0 or 1.
    log_k_B1 = counted_BK.sum(1, keepdim=True, dtype=logits_BK.dtype).log()
    log_abnormal_B, log_normal_B = (
        (F.logsigmoid(signed_BK) - log_k_B1).masked_fill(~counted_BK, -torch.inf).logsumexp(1)
        for signed_BK in (logits_BK, -logits_BK)
    )
    y_B = abnormal_B.to(logits_BK.dtype)
    return -(y_B * log_abnormal_B + (1 - y_B) * log_normal_B).mean()


def alignment_loss(
    similarity_BTC: torch.Tensor,
    targets_BC: torch.Tensor,
    lengths_B: torch.Tensor,
    tau: float,
    divisor: int = 16,
) -> torch.Tensor:
    """Return L_MCE, cross-entropy of p = softmax(v / τ) with the labels (equations 8 and 9).

    Args:
        similarity_BTC: alignment map M.
        targets_BC: multi-hot labels, at least one per video; several labels have equal shares of
            the target probability.
        lengths_B: number of valid snippets of each video, 1 to T.
        tau: τ.
        divisor: K = ⌊T / divisor⌋ + 1.
    """
    v_BC = mil_top_k_mean(_wide(similarity_BTC), lengths_B, divisor)
    shares_BC = targets_BC.to(v_BC.dtype) / targets_BC.sum(1, keepdim=True)
    return F.cross_entropy(v_BC / tau, shares_BC)


def contrastive_loss(label_CD: torch.Tensor) -> torch.Tensor:
    """Return L_cts = Σ_j max(0, ⟨L_N, L_Aj⟩) (equation 10).

    It moves the abnormal label embeddings away from the normal one.

    Args:
        label_CD: label embeddings of any length, the normal class first.
    """
    unit_CD = F.normalize(_wide(label_CD), dim=-1)
    return (unit_CD[1:] @ unit_CD[0]).relu().sum()


def mil_top_k_mean(
    values: torch.Tensor, lengths_B: torch.Tensor, divisor: int = 16
) -> torch.Tensor:
    """Return the mean of the K = ⌊T / divisor⌋ + 1 largest values of each video, with T its length.

    Args:
        values: [B, T] or [B, T, C]; each class is pooled separately.
        lengths_B: number of valid snippets of each video, 1 to T.
        divisor: of K; K is at most T.

    Returns:
        [B] or [B, C].
    """
    largest, counted = _top_k(values, lengths_B, divisor)
    return largest.sum(-1) / counted.sum(-1)


def _top_k(
    values: torch.Tensor, lengths_B: torch.Tensor, divisor: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest values of each video, and a mask of those that are among its own K.

    The shapes are [B, …, K] with the K of the longest video; values outside the mask are 0.
    """
    series = values.movedim(1, -1)
    snippets = series.shape[-1]
    ranks_T = torch.arange(snippets, device=values.device)
    lengths = lengths_B.view(-1, *[1] * (series.ndim - 1))
    max_k = min(snippets // divisor + 1, snippets)
    largest = series.masked_fill(ranks_T >= lengths, -torch.inf).topk(max_k).values
    counted = ranks_T[:max_k] < torch.minimum(lengths // divisor + 1, lengths)
    return largest.masked_fill(~counted, 0), counted


def _wide(x: torch.Tensor) -> torch.Tensor:
    """Return x in float32 or wider, because sums of exponentials need more than half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
