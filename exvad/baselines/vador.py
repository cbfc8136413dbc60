"""VADor-F: a predictor that remembers (after Lv and Sun, arXiv 2401.05702), on features, no LLM.

The published system sits in a video language model, whose words its scores never use. Here its
predictor and its memories work on frozen features. Every snippet is rated three times: on its own,
with what it recalls of the most abnormal and the most normal snippets so far, and with the last few
snippets. The score is the mean of the three. Which of the two bottlenecks belongs to which memory
is our reading of the description.

B videos · T snippets, t of a block · D feature width · S snippets so far · K remembered snippets of
a kind · M = 2 K remembered snippets
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from exvad.baselines.common.selection import roughness, spread_loss, top_snippet_loss
from exvad.baselines.common.system import Baseline, Clips, Output, Recipe, Step

HIDDEN = 64
SMOOTH, SPARSE = 0.01, 0.01
BLOCK = 512


class Predictor(nn.Module):
    """D → 64, normalized, → logits of normal and abnormal.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(width, HIDDEN), nn.LayerNorm(HIDDEN))
        self.score = nn.Linear(HIDDEN, 2)

    def forward(self, x_BTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits [B, T, 2] and the features before them, [B, T, 64]."""
        hidden_BTH = self.hidden(x_BTD)
        return self.score(hidden_BTH), hidden_BTH


def bottleneck(width: int) -> nn.Sequential:
    """Return the layers that what was recalled goes through, D → 64, normalized, → D."""
    last = nn.Linear(HIDDEN, width)
    # Training starts with three equal ratings, from which those of the memories learn to differ.
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, HIDDEN), nn.LayerNorm(HIDDEN), last)


class VADorF(Baseline):
    """Rates snippets alone, with a long memory and with a short one.

    Args:
        width: D.
        memory: K, snippets of each kind in the long memory.
        history: snippets of the short memory, the present one included.
    """

    recipe = Recipe(
        videos=8,
        pairs=True,
        length="segments",
        snippets=16,
        optimizer="adamw",
        learning_rate=1e-5,
        weight_decay=0.001,
        steps=300,
    )
    feature_width = 3 * HIDDEN

    def __init__(self, width: int, memory: int = 4, history: int = 4) -> None:
        super().__init__()
        if memory < 1 or history < 1:
            raise ValueError(
                f"memories of {memory} and {history} snippets are impossible: give at least 1"
            )
        self.memory, self.history = memory, history
        self.predict = Predictor(width)
        self.long, self.short = bottleneck(width), bottleneck(width)

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        return self._run(clips)[0]

    def loss(self, clips: Clips) -> Step:
        """Return `top`, `margin`, `smooth` and `sparse`, summed over the three ratings."""
        output, ratings = self._run(clips)
        terms = dict.fromkeys(("top", "margin", "smooth", "sparse"), output.scores_BT.new_zeros(()))
        for logits_BT2 in ratings:
            scores_BT = logits_BT2.softmax(-1)[..., 1]
            abnormal_AT = scores_BT[clips.abnormal_B]
            parts = {
                "top": top_snippet_loss(logits_BT2, clips.abnormal_B),
                "margin": spread_loss(scores_BT, clips.abnormal_B),
                "smooth": SMOOTH * roughness(abnormal_AT) / len(abnormal_AT),
                "sparse": SPARSE * abnormal_AT.sum(1).mean(),
            }
            terms = {name: terms[name] + part for name, part in parts.items()}
        return Step(output, terms)

    def _run(self, clips: Clips) -> tuple[Output, list[torch.Tensor]]:
        """Return the output and the logits [B, T, 2] of each rating."""
        x_BTD = clips.unpadded_BTD
        alone_BT2, hidden_BTH = self.predict(x_BTD)
        scores_BT = alone_BT2.detach().softmax(-1)[..., 1]
        ratings, features = [alone_BT2], [hidden_BTH]
        for recalled_BTD, layers in (
            (recall_extremes(x_BTD, scores_BT, self.memory), self.long),
            (recall_latest(x_BTD, self.history), self.short),
        ):
            logits_BT2, hidden_BTH = self.predict(x_BTD + layers(recalled_BTD))
            ratings.append(logits_BT2)
            features.append(hidden_BTH)
        mean_BT = torch.stack(ratings).softmax(-1)[..., 1].mean(0)
        return Output(mean_BT, torch.cat(features, -1)), ratings


def recall_extremes(x_BTD: torch.Tensor, scores_BT: torch.Tensor, count: int) -> torch.Tensor:
    """Return what each snippet recalls of the most abnormal and the most normal ones so far.

    The present snippet is among those so far. Memory grows with T, not with its square.

    Args:
        x_BTD: features of videos without padding.
        scores_BT: by which they are remembered.
        count: K.

    Returns:
        Means of the remembered snippets, weighted by the softmax of their cosines, [B, T, D].
    """
    blocks = []
    for start in range(0, x_BTD.shape[1], BLOCK):
        end = min(start + BLOCK, x_BTD.shape[1])
        now_t = torch.arange(start, end, device=x_BTD.device)
        seen_tS = torch.arange(end, device=x_BTD.device) <= now_t[:, None]
        picked, known = [], []
        for sign in (1, -1):
            rated_BtS = (sign * scores_BT[:, None, :end]).masked_fill(~seen_tS, -torch.inf)
            best = rated_BtS.topk(min(count, end), dim=-1)
            picked.append(best.indices)
            known.append(best.values > -torch.inf)
        blocks.append(
            _attend(x_BTD, x_BTD[:, start:end], torch.cat(picked, -1), torch.cat(known, -1))
        )
    return torch.cat(blocks, 1)


def recall_latest(x_BTD: torch.Tensor, count: int) -> torch.Tensor:
    """Return what each snippet recalls of the last `count` snippets, the present one included.

    Args:
        x_BTD: features of videos without padding.
        count: how many.

    Returns:
        Their means, weighted by the softmax of their cosines, [B, T, D].
    """
    videos, length, _ = x_BTD.shape
    now_T = torch.arange(length, device=x_BTD.device)
    picked_TM = now_T[:, None] - torch.arange(count, device=x_BTD.device)
    picked_BTM = picked_TM.expand(videos, -1, -1)
    blocks = [
        _attend(x_BTD, x_BTD[:, rows], picked_BTM[:, rows].clamp_min(0), picked_BTM[:, rows] >= 0)
        for rows in (slice(start, start + BLOCK) for start in range(0, length, BLOCK))
    ]
    return torch.cat(blocks, 1)


def _attend(
    x_BTD: torch.Tensor, query_BtD: torch.Tensor, picked_BtM: torch.Tensor, known_BtM: torch.Tensor
) -> torch.Tensor:
    """Return the means of the picked snippets that are known, weighted by their cosines."""
    rows_B11 = torch.arange(len(x_BTD), device=x_BTD.device)[:, None, None]
    values_BtMD = x_BTD[rows_B11, picked_BtM]
    cosine_BtM = F.cosine_similarity(query_BtD[:, :, None], values_BtMD, dim=-1)
    weights_BtM = cosine_BtM.masked_fill(~known_BtM, -torch.inf).softmax(-1)
    return (weights_BtM[:, :, None] @ values_BtMD).squeeze(2)
