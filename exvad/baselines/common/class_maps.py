"""The named ways to a class map, for mAP.

- F0, native: the system's own.
- F1, joint: a linear head over the features before the last layer, trained with the system.
- F2, frozen: the system is trained first and then frozen; a linear head over the anomaly classes is
  trained on the snippets that it scores highest.
- F3, zero-shot: cosines of image features with label embeddings, without training.

In F1 to F3 the map of a snippet is 1 − s for the normal class and s · p(c) for an anomaly class.

B videos · T snippets · C classes · A = C − 1 anomaly classes · D feature width · H width of a
system's last features
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from exvad.baselines.common.selection import pick
from exvad.baselines.common.system import Baseline, Clips, Output, Step
from exvad.modeling.alignment import alignment_map
from exvad.modeling.losses import alignment_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

ClassMap: TypeAlias = Literal["F0", "F1", "F2", "F3"]
TAU = 0.07


def compose_map(scores_BT: torch.Tensor, logits_BTA: torch.Tensor) -> torch.Tensor:
    """Return the class map [B, T, C] of scores and of logits of the anomaly classes.

    Args:
        scores_BT: anomaly scores s, 0 to 1.
        logits_BTA: logits of p(c), the anomaly classes only.
    """
    share_BTA = scores_BT[..., None] * logits_BTA.softmax(-1)
    return torch.cat([1 - scores_BT[..., None], share_BTA], -1)


def zero_shot_map(
    scores_T: NDArray[np.floating],
    visual_TD: NDArray[np.floating],
    label_CD: NDArray[np.floating],
    tau: float = TAU,
) -> NDArray[np.float32]:
    """Return the class map of F3 for the scores of a video, [T, C].

    Args:
        scores_T: anomaly scores, 0 to 1.
        visual_TD: image features.
        label_CD: label embeddings in the space of the image features, the normal class first.
        tau: τ.

    Raises:
        ValueError: labels and images have features of different widths.
    """
    check_label_width(visual_TD.shape[1], label_CD.shape[1], "F3")
    visual_1TD = torch.from_numpy(visual_TD.astype(np.float32))[None]
    unit_AD = F.normalize(torch.from_numpy(label_CD[1:].astype(np.float32)), dim=-1)
    scores_1T = torch.from_numpy(scores_T.astype(np.float32))[None]
    map_TC = compose_map(scores_1T, alignment_map(visual_1TD, unit_AD) / tau)[0]
    numbers: NDArray[np.float32] = map_TC.numpy()
    return numbers


def check_label_width(visual: int, labels: int, who: str) -> None:
    """Refuse label embeddings that can't be compared with image features.

    Args:
        visual: D of the image features.
        labels: width of the label embeddings.
        who: what compares them, for the error.

    Raises:
        ValueError: the widths differ.
    """
    if visual != labels:
        raise ValueError(
            f"{who} compares images with labels, but their features are {visual} and {labels} "
            "wide: encode the labels with the model of the image features"
        )


class _Wrapped(Baseline):
    """A system with a class map that is not its own; its recipe and needs are the system's."""

    def __init__(self, system: Baseline) -> None:
        super().__init__()
        self.system = system
        self.recipe = system.recipe
        self.chunk = system.chunk
        self.reload_best = system.reload_best
        self.feature_width = system.feature_width

    def _with_map(self, output: Output, logits_BTA: torch.Tensor) -> Output:
        return replace(output, probabilities_BTC=compose_map(output.scores_BT, logits_BTA))


class JointHead(_Wrapped):
    """F1: a linear head over C classes, trained with the system.

    Its loss is the cross-entropy of the mean of the K = ⌊T / 16⌋ + 1 largest logits of each class,
    with weight 1. It changes the scores too, so they are reported as those of F1.

    Args:
        system: the untrained system.
        num_classes: C.
    """

    def __init__(self, system: Baseline, num_classes: int) -> None:
        super().__init__(system)
        self.head = nn.Linear(system.feature_width, num_classes)

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        output: Output = self.system(clips)
        return self._with_map(output, self.head(output.features_BTH)[..., 1:])

    def loss(self, clips: Clips) -> Step:
        """Return the system's loss with a term `classes`; see `Baseline.loss`."""
        output, terms = self.system.loss(clips)
        logits_BTC = self.head(output.features_BTH)
        classes = alignment_loss(logits_BTC, clips.targets_BC, clips.lengths_B, tau=1.0)
        return Step(self._with_map(output, logits_BTC[..., 1:]), {**terms, "classes": classes})

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Return the system's groups and that of the head."""
        head = {"params": list(self.head.parameters()), "lr": learning_rate}
        return [*self.system.parameter_groups(learning_rate), head]


class FrozenHead(_Wrapped):
    """F2: a linear head over the anomaly classes of a frozen system.

    Its loss is the cross-entropy on abnormal videos, of the mean features of the K = ⌊T / 16⌋ + 1
    snippets with the highest scores.

    Args:
        system: the trained system; its parameters are frozen.
        num_classes: C.
    """

    def __init__(self, system: Baseline, num_classes: int) -> None:
        super().__init__(system)
        self.system.requires_grad_(False).eval()
        self.head = nn.Linear(system.feature_width, num_classes - 1)

    def train(self, mode: bool = True) -> FrozenHead:
        """Set the mode of the head; the system stays in evaluation mode."""
        super().train(mode)
        self.system.eval()
        return self

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        with torch.no_grad():
            output: Output = self.system(clips)
        return self._with_map(output, self.head(output.features_BTH))

    def loss(self, clips: Clips) -> Step:
        """Return the loss of the head alone; see `Baseline.loss`."""
        output: Output = self(clips)
        highest = output.scores_BT.masked_fill(~clips.valid_BT, -1)
        most = int(clips.lengths_B.max()) // 16 + 1
        most = min(most, highest.shape[1])
        features_BKH = pick(output.features_BTH, highest.topk(most, dim=1).indices)
        ranks_K = torch.arange(most, device=highest.device)
        counts_B = torch.minimum(clips.lengths_B // 16 + 1, clips.lengths_B)
        counted_BK = ranks_K < counts_B[:, None]
        mean_BH = features_BKH.masked_fill(~counted_BK[..., None], 0).sum(1) / counts_B[:, None]
        anomalies_BA = clips.targets_BC[:, 1:]
        shares_BA = anomalies_BA / anomalies_BA.sum(1, keepdim=True).clamp_min(1)
        losses_B = F.cross_entropy(self.head(mean_BH), shares_BA, reduction="none")
        abnormal_B = clips.abnormal_B
        loss = losses_B[abnormal_B].sum() / abnormal_B.sum().clamp_min(1)
        return Step(output, {"classes": loss})


class ZeroShotMap(_Wrapped):
    """F3: softmax of image–label cosines / τ, without training.

    Args:
        system: the system, trained or not.
        label_CD: label embeddings in the space of the image features, the normal class first.
        tau: τ.

    Its `forward` and `loss` raise a `ValueError` for images of another width than the labels.
    """

    label_CD: torch.Tensor

    def __init__(self, system: Baseline, label_CD: torch.Tensor, tau: float = TAU) -> None:
        super().__init__(system)
        self.register_buffer("label_CD", F.normalize(label_CD.float(), dim=-1))
        self.tau = tau

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`."""
        output: Output = self.system(clips)
        return self._with_map(output, self._logits(clips))

    def loss(self, clips: Clips) -> Step:
        """Return the system's loss; see `Baseline.loss`."""
        output, terms = self.system.loss(clips)
        return Step(self._with_map(output, self._logits(clips)), terms)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Return the system's groups."""
        return self.system.parameter_groups(learning_rate)

    def _logits(self, clips: Clips) -> torch.Tensor:
        check_label_width(clips.visual_BTD.shape[-1], self.label_CD.shape[1], "F3")
        return alignment_map(clips.visual_BTD, self.label_CD[1:]) / self.tau


def with_class_map(
    system: Baseline, way: ClassMap, num_classes: int, label_CD: torch.Tensor | None = None
) -> Baseline:
    """Give a system a class map.

    Args:
        system: the system; for F2 it must be trained already.
        way: the named way.
        num_classes: C.
        label_CD: label embeddings, for F3 only.

    Raises:
        ValueError: F3 without label embeddings. Those of another width than the image features are
            refused when the system first sees images.
    """
    if way == "F0":
        return system
    if way == "F1":
        return JointHead(system, num_classes)
    if way == "F2":
        return FrozenHead(system, num_classes)
    if label_CD is None:
        raise ValueError("F3 compares images with labels: give label embeddings (`exvad labels`)")
    return ZeroShotMap(system, label_CD)
