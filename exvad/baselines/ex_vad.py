"""Ex-VAD, the network of this project, as one of the systems (Huang et al., ICML 2025).

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

from typing import Literal

import torch

from exvad.baselines.common.system import Baseline, Clips, Output, Recipe, Step
from exvad.modeling.exvad import ExVAD, class_probabilities, coarse_scores
from exvad.modeling.exvad import Output as RawOutput
from exvad.modeling.losses import exvad_loss


class ExVADSystem(Baseline):
    """Trains and runs the network of `exvad.modeling` by the protocol of the baselines.

    Args:
        network: the network; with text it needs text features.
        label_CD: label embeddings F_L.
        tau: τ.
        lambda_: λ, weight of L_cts.
        branch: which branch gives the scores.
    """

    recipe = Recipe(
        videos=128,
        pairs=True,
        length="mean",
        snippets=256,
        optimizer="adamw",
        learning_rate=2e-5,
        weight_decay=0.01,
        epochs=10,
        milestones=(0.4, 0.8),
    )
    chunk = 256
    label_CD: torch.Tensor

    def __init__(
        self,
        network: ExVAD,
        label_CD: torch.Tensor,
        tau: float = 0.07,
        lambda_: float = 1.0,
        branch: Literal["classifier", "alignment"] = "classifier",
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("label_CD", label_CD.float())
        self.tau, self.lambda_, self.branch = tau, lambda_, branch
        self.feature_width = len(label_CD)

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        return self._run(clips)[0]

    def loss(self, clips: Clips) -> Step:
        """Return the terms `bce`, `mce` and `cts`; see `Baseline.loss`."""
        output, raw = self._run(clips)
        terms = exvad_loss(raw, clips.targets_BC, clips.lengths_B, self.tau, self.lambda_)
        return Step(output, {"bce": terms.bce, "mce": terms.mce, "cts": self.lambda_ * terms.cts})

    def _run(self, clips: Clips) -> tuple[Output, RawOutput]:
        raw: RawOutput = self.network(clips.visual_BTD, clips.lengths_B, clips.text, self.label_CD)
        scores_BT = coarse_scores(raw, self.tau, self.branch)
        probabilities_BTC = class_probabilities(raw, self.tau, self.network.weighted_classes)
        # The alignment map stands for the last features: Ex-VAD has a class map of its own.
        return Output(scores_BT, raw.similarity_BTC, probabilities_BTC), raw
