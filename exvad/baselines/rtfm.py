"""RTFM: anomalies have longer features (Tian et al., ICCV 2021), and the trunk that others reuse.

A trunk mixes snippets at several time scales. The snippets with the longest features stand for
their video: their mean score must fit the label, and their length is pulled apart from that of
normal videos.

B videos · T snippets · D feature width · K selected snippets · d width of a branch
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from exvad.baselines.common.selection import mean_score_loss, pick, roughness
from exvad.baselines.common.system import Baseline, Clips, Output, Recipe, Step

MAGNITUDE, SPARSE, SMOOTH = 1e-4, 8e-3, 8e-4
DROPOUT = 0.7
SHARE = 10


class NonLocal(nn.Module):
    """Attention of all snippets without a softmax, with a residual; the identity at the start.

    Args:
        width: d, even.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 2
        self.theta = nn.Conv1d(width, inner, 1)
        self.phi = nn.Conv1d(width, inner, 1)
        self.g = nn.Conv1d(width, inner, 1)
        self.out = nn.Conv1d(inner, width, 1)
        self.norm = nn.BatchNorm1d(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x_BdT: torch.Tensor) -> torch.Tensor:
        """Mix [B, d, T]."""
        weights_BTT = self.theta(x_BdT).mT @ self.phi(x_BdT) / x_BdT.shape[-1]
        mixed_BdT: torch.Tensor = x_BdT + self.norm(self.out(self.g(x_BdT) @ weights_BTT.mT))
        return mixed_BdT


class MultiScaleTrunk(nn.Module):
    """Three dilated convolutions and a non-local block, fused and added to the input.

    Args:
        width: D, a multiple of 8.
        branch: d; None for D / 4. RTFM's own code has 512 at D = 2048.

    Raises:
        ValueError: the width of a branch is odd or zero.
    """

    def __init__(self, width: int, branch: int | None = None) -> None:
        super().__init__()
        branch = width // 4 if branch is None else branch
        if branch < 2 or branch % 2:
            raise ValueError(
                f"the branches of this trunk have a width of {branch}, but need an even one: use "
                "features whose width is a multiple of 8"
            )
        self.dilated = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, branch, 3, padding=dilation, dilation=dilation),
                nn.ReLU(),
                nn.BatchNorm1d(branch),
            )
            for dilation in (1, 2, 4)
        )
        self.reduce = nn.Sequential(nn.Conv1d(width, branch, 1, bias=False), nn.ReLU())
        self.non_local = NonLocal(branch)
        self.fuse = nn.Sequential(
            nn.Conv1d(4 * branch, width, 3, padding=1, bias=False), nn.ReLU(), nn.BatchNorm1d(width)
        )
        self.dropout = nn.Dropout(DROPOUT)
        initialize(self)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """Mix the snippets of videos without padding, [B, T, D]."""
        x_BDT = x_BTD.mT
        branches = [branch(x_BDT) for branch in self.dilated]
        branches.append(self.non_local(self.reduce(x_BDT)))
        mixed_BTD: torch.Tensor = self.dropout(self.fuse(torch.cat(branches, 1)).mT + x_BTD)
        return mixed_BTD


def scoring_head(width: int, hidden: int = 512, last: int = 128) -> nn.Sequential:
    """Return the layers from features [B, T, D] to logits [B, T, 1]."""
    head = nn.Sequential(
        nn.Linear(width, hidden),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(hidden, last),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(last, 1),
    )
    initialize(head)
    return head


def initialize(module: nn.Module) -> None:
    """Set all weights of linear layers and convolutions as RTFM does."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class MagnitudeBaseline(Baseline):
    """A system with RTFM's loss: snippets are selected by the length of their features.

    Args:
        margin: of the lengths of abnormal features. Lengths of features differ by encoder: with
            unit vectors a margin of 100 is out of reach.
        extra_losses: whether abnormal scores are kept sparse and smooth.
        smooth_across_videos: smooth over the ends of videos too, as the public code does.
    """

    head: nn.Module

    def __init__(
        self, margin: float, extra_losses: bool = True, smooth_across_videos: bool = False
    ) -> None:
        super().__init__()
        self.margin, self.extra_losses = margin, extra_losses
        self.smooth_across_videos = smooth_across_videos

    @abstractmethod
    def mix(self, clips: Clips) -> torch.Tensor:
        """Return the features [B, T, H] that are scored, and whose length counts."""

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        return self._run(clips)[0]

    def loss(self, clips: Clips) -> Step:
        """Return the terms `bce`, `magnitude`, `sparse` and `smooth`; see `Baseline.loss`."""
        output, logits_BT = self._run(clips)
        features_BTH = output.features_BTH
        lengths_BT = torch.linalg.vector_norm(features_BTH.detach(), dim=-1)
        # A random part of the snippets can't be selected, so that training sees others too.
        keep_BT = (torch.rand_like(lengths_BT) >= DROPOUT) | (not self.training)
        count = max(1, lengths_BT.shape[1] // SHARE)
        picked_BK = (lengths_BT * keep_BT).topk(count, dim=1).indices
        abnormal_B = clips.abnormal_B
        mean_BH = pick(features_BTH, picked_BK).mean(1)
        mean_length_B = torch.linalg.vector_norm(mean_BH, dim=-1)
        gap_P = (self.margin - mean_length_B[abnormal_B]).abs() + mean_length_B[~abnormal_B]
        terms = {
            "bce": mean_score_loss(logits_BT.gather(1, picked_BK), abnormal_B),
            "magnitude": MAGNITUDE * gap_P.square().mean(),
        }
        if self.extra_losses:
            abnormal_AT = output.scores_BT[abnormal_B]
            terms["sparse"] = SPARSE * torch.linalg.vector_norm(abnormal_AT)
            series = abnormal_AT.flatten()[None] if self.smooth_across_videos else abnormal_AT
            terms["smooth"] = SMOOTH * roughness(series)
        return Step(output, terms)

    def _run(self, clips: Clips) -> tuple[Output, torch.Tensor]:
        features_BTH = self.mix(clips)
        logits_BT = self.head(features_BTH).squeeze(-1)
        return Output(logits_BT.sigmoid(), features_BTH), logits_BT


class RTFM(MagnitudeBaseline):
    """RTFM on one crop.

    Args:
        width: D, a multiple of 8.
        branch: width of the trunk's branches; None for D / 4.
        margin: see `MagnitudeBaseline`.
        smooth_across_videos: see `MagnitudeBaseline`.
    """

    recipe = Recipe(
        videos=64,
        pairs=True,
        length="segments",
        snippets=32,
        learning_rate=1e-3,
        weight_decay=0.005,
        steps=15_000,
    )

    def __init__(
        self,
        width: int,
        branch: int | None = None,
        margin: float = 100.0,
        smooth_across_videos: bool = False,
    ) -> None:
        super().__init__(margin, smooth_across_videos=smooth_across_videos)
        self.feature_width = width
        self.trunk = MultiScaleTrunk(width, branch)
        self.head = scoring_head(width)

    def mix(self, clips: Clips) -> torch.Tensor:
        """Return the trunk's features."""
        mixed_BTD: torch.Tensor = self.trunk(clips.unpadded_BTD)
        return mixed_BTD
