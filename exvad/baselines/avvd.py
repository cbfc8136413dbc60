"""AVVD-style: relations between snippets, trained with classes (after Wu, Liu and Liu, TMM 2022).

No code of AVVD is public. This is rebuilt from the description of HL-Net by the same first author:
three graphs of snippets (similar, near in time, of similar score), and an online branch that only
sees the past. AVVD's audio is left out.

B videos · T snippets · D feature width · C classes · H width of a graph layer
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from exvad.baselines.common.graphs import nearness
from exvad.baselines.common.system import Baseline, Clips, Output, Recipe, Step
from exvad.modeling.losses import alignment_loss, mil_top_k_mean
from exvad.modeling.madm.lgt_adapter import TemporalConvolution, similarity_adjacency

DROPOUT, GRAPH_WIDTH, KERNEL = 0.6, 32, 5
DISTILL = 5.0


class OnlineBranch(nn.Module):
    """Scores a snippet from itself and the four before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.score = nn.Conv1d(32, 1, KERNEL)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """Return logits [B, T]."""
        past_BDT = F.pad(self.layers(x_BTD).mT, (KERNEL - 1, 0))
        logits_BT: torch.Tensor = self.score(past_BDT).squeeze(1)
        return logits_BT


class RelationLayer(nn.Module):
    """Graph layer: dropout(ReLU(A · x · W + residual(x))).

    Args:
        width: of the input.
        residual: module [B, T, width] → [B, T, H].
    """

    def __init__(self, width: int, residual: nn.Module) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(width, GRAPH_WIDTH)))
        self.residual = residual
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x_BTD: torch.Tensor, adjacency_BTT: torch.Tensor) -> torch.Tensor:
        """Transform [B, T, width] to [B, T, H]."""
        mixed_BTH = adjacency_BTT @ (x_BTD @ self.weight) + self.residual(x_BTD)
        out_BTH: torch.Tensor = self.dropout(mixed_BTH.relu())
        return out_BTH


class RelationBranch(nn.Module):
    """Two graph layers over one adjacency."""

    def __init__(self) -> None:
        super().__init__()
        self.first = RelationLayer(128, TemporalConvolution(128, GRAPH_WIDTH, KERNEL))
        self.second = RelationLayer(GRAPH_WIDTH, nn.Identity())

    def forward(self, x_BTD: torch.Tensor, adjacency_BTT: torch.Tensor) -> torch.Tensor:
        """Transform [B, T, 128] to [B, T, H]; padding must be 0."""
        out_BTH: torch.Tensor = self.second(self.first(x_BTD, adjacency_BTT), adjacency_BTT)
        return out_BTH


class AVVDStyle(Baseline):
    """Classifies snippets by their relations; s = 1 − p(normal).

    Args:
        width: D.
        num_classes: C.
    """

    recipe = Recipe(
        videos=128,
        pairs=False,
        length="index",
        snippets=200,
        learning_rate=1e-4,
        epochs=50,
        milestones=(0.2,),
    )
    feature_width = 3 * GRAPH_WIDTH

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Linear(width, 512),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(512, 128),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
        )
        self.online = OnlineBranch()
        self.similar, self.near, self.alike = RelationBranch(), RelationBranch(), RelationBranch()
        self.classify = nn.Linear(self.feature_width, num_classes)

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        return self._run(clips)[0]

    def loss(self, clips: Clips) -> Step:
        """Return the terms `classes`, `online` and `distill`; see `Baseline.loss`."""
        output, logits_BTC, online_BT = self._run(clips)
        mean_B = mil_top_k_mean(online_BT, clips.lengths_B)
        valid_BT = clips.valid_BT
        # Rounding may leave the range by a hair, which the cross-entropy refuses.
        target = output.scores_BT.detach()[valid_BT].clamp(0, 1)
        distill = F.binary_cross_entropy_with_logits(online_BT[valid_BT], target)
        terms = {
            "classes": alignment_loss(logits_BTC, clips.targets_BC, clips.lengths_B, tau=1.0),
            "online": F.binary_cross_entropy_with_logits(mean_B, clips.abnormal_B.to(mean_B)),
            "distill": DISTILL * distill,
        }
        return Step(output, terms)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Return the online branch with half the rate, and the rest."""
        online = {id(parameter) for parameter in self.online.parameters()}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in online]
        return [
            {"params": rest, "lr": learning_rate},
            {"params": list(self.online.parameters()), "lr": learning_rate / 2},
        ]

    def _run(self, clips: Clips) -> tuple[Output, torch.Tensor, torch.Tensor]:
        """Return the output, class logits [B, T, C] and logits of the online branch [B, T]."""
        valid_BT = clips.valid_BT
        x_BTD = self.reduce(clips.visual_BTD).masked_fill(~valid_BT[..., None], 0)
        online_BT = self.online(x_BTD)
        near_TT = nearness(x_BTD.shape[1], x_BTD.device)
        features_BTH = torch.cat(
            [
                self.similar(x_BTD, similarity_adjacency(clips.visual_BTD, valid_BT)),
                self.near(x_BTD, near_TT * valid_BT[:, None, :]),
                self.alike(x_BTD, score_adjacency(online_BT.detach().sigmoid(), valid_BT)),
            ],
            -1,
        )
        logits_BTC = self.classify(features_BTH)
        probabilities_BTC = logits_BTC.softmax(-1)
        output = Output(1 - probabilities_BTC[..., 0], features_BTH, probabilities_BTC)
        return output, logits_BTC, online_BT


def score_adjacency(scores_BT: torch.Tensor, valid_BT: torch.Tensor) -> torch.Tensor:
    """Return the adjacency of the graph that connects snippets of similar scores.

    Each row is the softmax over the valid snippets of σ((1 − |p_i − p_j| − 0.5) / 0.1).

    Args:
        scores_BT: p, 0 to 1.
        valid_BT: bool, False for padding.

    Returns:
        [B, T, T], 0 to 1.
    """
    closeness_BTT = 1 - (scores_BT[:, :, None] - scores_BT[:, None, :]).abs()
    alike_BTT = ((closeness_BTT - 0.5) / 0.1).sigmoid()
    return alike_BTT.masked_fill(~valid_BT[:, None, :], -torch.inf).softmax(-1)
