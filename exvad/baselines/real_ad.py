"""RealAD: a ranking loss over scored segments (Sultani, Chen and Shah, CVPR 2018).

Three linear layers score each segment on its own. The highest score of an abnormal video must
exceed the highest of a normal one.

B videos · T segments · D feature width · N normal videos · A abnormal videos
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from exvad.baselines.common.selection import roughness
from exvad.baselines.common.system import Baseline, Clips, Output, Recipe, Step

SMOOTH, SPARSE, DECAY = 8e-5, 8e-5, 1e-3


class RealAD(Baseline):
    """Scores segments one by one.

    Args:
        width: D.
        pairing: "all" compares each normal video with each abnormal one; "matched" the i-th with
            the i-th only, as most ports do.
        normalize: scale every feature to unit length.
    """

    recipe = Recipe(
        videos=60,
        pairs=True,
        length="segments",
        snippets=32,
        optimizer="adagrad",
        learning_rate=0.01,
        steps=20_000,
    )
    feature_width = 32

    def __init__(
        self, width: int, pairing: Literal["all", "matched"] = "all", normalize: bool = True
    ) -> None:
        super().__init__()
        self.pairing, self.normalize = pairing, normalize
        self.hidden = nn.Linear(width, 512)
        self.features = nn.Linear(512, self.feature_width)
        self.score = nn.Linear(self.feature_width, 1)
        self.dropout = nn.Dropout(0.6)
        for layer in (self.hidden, self.features, self.score):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        visual_BTD = clips.visual_BTD
        if self.normalize:
            visual_BTD = F.normalize(visual_BTD, dim=-1)
        # The second layer is linear: the published network has no activation after it.
        hidden_BTH = self.features(self.dropout(self.hidden(visual_BTD).relu()))
        scores_BT = self.score(self.dropout(hidden_BTH)).sigmoid().squeeze(-1)
        return Output(scores_BT, hidden_BTH)

    def loss(self, clips: Clips) -> Step:
        """Return the terms `rank`, `sparse`, `smooth` and `decay`; see `Baseline.loss`."""
        output: Output = self(clips)
        highest_B = output.scores_BT.masked_fill(~clips.valid_BT, 0).amax(1)
        normal_N, abnormal_A = highest_B[~clips.abnormal_B], highest_B[clips.abnormal_B]
        if self.pairing == "all":
            rank = (1 - abnormal_A + normal_N[:, None]).relu().sum(1).mean()
        else:
            rank = (1 - abnormal_A + normal_N).relu().mean()
        abnormal_AT = output.scores_BT[clips.abnormal_B]
        weights = [self.hidden.weight, self.features.weight, self.score.weight]
        terms = {
            "rank": rank,
            "sparse": SPARSE * abnormal_AT.sum(),
            "smooth": SMOOTH * roughness(abnormal_AT),
            "decay": DECAY * torch.stack([weight.square().sum() for weight in weights]).sum(),
        }
        return Step(output, terms)
