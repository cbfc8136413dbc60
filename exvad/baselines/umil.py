"""UMIL-F: snippets that training is unsure about (after Lv et al., CVPR 2023), on frozen features.

The published system trains its backbone on clips of video, which features do not allow. Here a
residual perceptron takes the place of the backbone, and feature dropout that of image augmentation.
A first head classifies by multiple instances. A second head clusters pairs of snippets: those with
similar features belong together. Late in training the snippets whose scores kept changing are
clustered, and both heads must agree on pairs. The stages are built as the paper means them.

B videos · T snippets · N = B · T snippets of a batch · D feature width · C classes
"""

from __future__ import annotations

from collections import deque

import torch
import torch.nn.functional as F
from torch import nn

from exvad.baselines.common.selection import roughness, spread_loss, top_snippet_loss
from exvad.baselines.common.system import Baseline, Clips, Output, Recipe, Step
from exvad.modeling.alignment import alignment_map

SCALE, SURE, SAME = 1 / 0.07, 0.8, 0.7
SMOOTH, SPARSE, CLUSTER = 0.01, 0.001, 0.01
SECOND_STAGE, STEADY, HISTORY = 0.75, 0.3, 5


class UMILF(Baseline):
    """Two heads over frozen features, compared with the texts for normal and abnormal.

    Args:
        width: D.
        label_CD: label embeddings, the normal class first. The mean of the others stands for
            "abnormal".
        view_dropout: share of the features that the strong view of a snippet lacks.
    """

    recipe = Recipe(
        videos=16,
        pairs=True,
        length="segments",
        snippets=16,
        optimizer="adamw",
        learning_rate=8e-6,
        weight_decay=0.001,
        epochs=40,
        cosine=1.0,
        betas=(0.9, 0.98),
        warm_up=5 / 40,
    )
    text_2D: torch.Tensor

    def __init__(self, width: int, label_CD: torch.Tensor, view_dropout: float = 0.3) -> None:
        super().__init__()
        unit_CD = F.normalize(label_CD.float(), dim=-1)
        text_2D = torch.stack([unit_CD[0], unit_CD[1:].mean(0)])
        self.register_buffer("text_2D", F.normalize(text_2D, dim=-1))
        self.feature_width = width
        self.expand, self.contract = nn.Linear(width, width), nn.Linear(width, width)
        self.classify, self.cluster = nn.Linear(width, width), nn.Linear(width, width)
        # Training starts from the frozen features, as the published system from its backbone.
        nn.init.zeros_(self.contract.weight)
        for head in (self.classify, self.cluster):
            nn.init.eye_(head.weight)
        self.view_dropout = view_dropout
        self.scores_seen: dict[int, deque[torch.Tensor]] = {}

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        hidden_BTD = self._adapt(clips.visual_BTD)
        logits_BT2 = self._compare(self.classify(hidden_BTD))
        return Output(logits_BT2.softmax(-1)[..., 1], hidden_BTD)

    def loss(self, clips: Clips) -> Step:
        """Compute the loss of a training batch; see `Baseline.loss`.

        The terms are `top`, `margin`, `consistency`, `smooth`, `sparse` and `cluster`, and late in
        training `agreement`.
        """
        hidden_BTD = self._adapt(clips.unpadded_BTD)
        logits_BT2 = self._compare(self.classify(hidden_BTD))
        probability_BT2 = logits_BT2.softmax(-1)
        scores_BT = probability_BT2[..., 1]
        abnormal_AT = scores_BT[clips.abnormal_B]
        terms = {
            "top": top_snippet_loss(logits_BT2, clips.abnormal_B),
            "margin": spread_loss(scores_BT, clips.abnormal_B),
            "consistency": self._consistency(clips.visual_BTD, probability_BT2.detach()),
            "smooth": SMOOTH * roughness(abnormal_AT) / len(abnormal_AT),
            "sparse": SPARSE * abnormal_AT.sum(1).mean(),
            **self._cluster_terms(clips, hidden_BTD, probability_BT2),
        }
        return Step(Output(scores_BT, hidden_BTD), terms)

    def _adapt(self, visual_BTD: torch.Tensor) -> torch.Tensor:
        adapted_BTD: torch.Tensor = visual_BTD + self.contract(self.expand(visual_BTD).relu())
        return adapted_BTD

    def _compare(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return SCALE * alignment_map(x_BTD, self.text_2D)

    def _consistency(self, visual_BTD: torch.Tensor, weak_BT2: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of strong views with what the weak views are sure about."""
        strong_BTD = F.dropout(visual_BTD, self.view_dropout, self.training)
        logits_N2 = self._compare(self.classify(self._adapt(strong_BTD))).flatten(0, 1)
        sure_N, pseudo_N = weak_BT2.flatten(0, 1).max(-1)
        losses_N = F.cross_entropy(logits_N2, pseudo_N, reduction="none")
        return (losses_N * (sure_N >= SURE)).mean()

    def _cluster_terms(
        self, clips: Clips, hidden_BTD: torch.Tensor, probability_BT2: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        ambiguous_N = self.ambiguous(clips, probability_BT2[..., 1].detach()).flatten()
        unit_ND = F.normalize(hidden_BTD.detach().flatten(0, 1)[ambiguous_N], dim=-1)
        same_NN = (unit_ND @ unit_ND.mT > SAME).float()
        cluster_BT2 = self._compare(self.cluster(hidden_BTD)).softmax(-1)
        cluster_N2 = cluster_BT2.flatten(0, 1)[ambiguous_N]
        together_NN = (cluster_N2 @ cluster_N2.mT).clamp(0, 1)
        terms = {"cluster": CLUSTER * F.binary_cross_entropy(together_NN, same_NN)}
        if self.progress >= SECOND_STAGE:
            classified_N2 = probability_BT2.flatten(0, 1)[ambiguous_N]
            terms["agreement"] = F.mse_loss(classified_N2 @ classified_N2.mT, together_NN)
        return terms

    def ambiguous(self, clips: Clips, scores_BT: torch.Tensor) -> torch.Tensor:
        """Remember the scores; return which snippets are ambiguous, in the first stage all."""
        variances = []
        for video, scores_T in zip(clips.videos_B.tolist(), scores_BT, strict=True):
            seen = self.scores_seen.setdefault(video, deque(maxlen=HISTORY))
            seen.append(scores_T)
            variances.append(torch.stack(list(seen)).var(0, unbiased=False))
        variance_BT = torch.stack(variances)
        if self.progress < SECOND_STAGE:
            return torch.ones_like(variance_BT, dtype=torch.bool)
        ambiguous_BT = variance_BT > variance_BT.quantile(STEADY)
        return ambiguous_BT if bool(ambiguous_BT.any()) else torch.ones_like(ambiguous_BT)
