"""STPrompt-crops: moving parts of the frame, nearness in time, class texts (after Wu et al., 2024).

No code of STPrompt (ACM MM 2024) is public. This follows the design of its abstract. The published
system looks at patches of the frame; here the crops of a frame stand for them. The parts of the
frame that move most are added to the frame. An adapter mixes snippets by their nearness in time.
Two branches as in VadCLIP score the snippets and compare them with class texts. Losses and training
are those of VadCLIP, because those of STPrompt are not known.

B videos · T snippets · P crops, the whole frame first · Q = P − 1 parts · K moving parts
C classes · D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from exvad.baselines.common.graphs import nearness
from exvad.baselines.common.system import Baseline, Clips, Output, Step
from exvad.baselines.vadclip import MAX_SNIPPETS, TAU, UCF_RECIPE, LabelPrompt
from exvad.modeling.alignment import alignment_map
from exvad.modeling.feed_forward import FeedForward
from exvad.modeling.losses import alignment_loss, bce_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray


class STPromptCrops(Baseline):
    """Scores snippets by their frame and its moving crops, and compares them with class texts.

    The features of a snippet are those of its P crops one after the other; see `stack_crops`.

    Args:
        width: D, of one crop.
        label_CD: label embeddings, the normal class first.
        crops: P, at least 2; the first is the whole frame.
        moving: K, at most P − 1.
        lambda_: weight of the loss of the class texts.

    Raises:
        ValueError: there is no part of the frame beside the whole.
    """

    recipe = UCF_RECIPE
    chunk = MAX_SNIPPETS

    def __init__(
        self,
        width: int,
        label_CD: torch.Tensor,
        crops: int = 10,
        moving: int = 4,
        lambda_: float = 0.1,
    ) -> None:
        super().__init__()
        if crops < 2:
            raise ValueError(
                "STPrompt-crops looks at parts of the frame, but the features are those of whole "
                "frames only: preprocess with data.crops=5 or data.crops=10, or import the "
                "features of as many crops (v1__0.npy, v1__1.npy, …) and set data.crops"
            )
        self.crops, self.moving, self.lambda_ = crops, min(moving, crops - 1), lambda_
        self.feature_width = width
        self.norm = nn.LayerNorm(width)
        self.adapter_ffn = FeedForward(width, 4 * width)
        self.ffn = FeedForward(width, 4 * width)
        self.classifier = nn.Linear(width, 1)
        self.prompt = LabelPrompt(label_CD)

    def forward(self, clips: Clips) -> Output:
        """Score snippets; see `Baseline.forward`.

        Raises:
            ValueError: the features are not those of P crops.
        """
        return self._run(clips)[0]

    def loss(self, clips: Clips) -> Step:
        """Return the terms `bce`, `classes` and `texts`; see `Baseline.loss`.

        Raises:
            ValueError: the features are not those of P crops.
        """
        output, logits_BT, map_BTC, text_CD = self._run(clips)
        terms = {
            "bce": bce_loss(logits_BT, clips.abnormal_B, clips.lengths_B),
            "classes": alignment_loss(map_BTC, clips.targets_BC, clips.lengths_B, tau=1.0),
            "texts": self.lambda_ * (text_CD[1:] @ text_CD[0]).abs().mean(),
        }
        return Step(output, terms)

    def _run(self, clips: Clips) -> tuple[Output, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the output, logits [B, T] of both branches ([B, T, C]), and texts [C, D]."""
        if clips.visual_BTD.shape[-1] != self.crops * self.feature_width:
            raise ValueError(
                f"features of {self.crops} crops of width {self.feature_width} are "
                f"{self.crops * self.feature_width} wide, but these are "
                f"{clips.visual_BTD.shape[-1]}, as those of whole frames are: `exvad compare` "
                "takes the stored crops, and stack_crops puts those of a snippet together"
            )
        crops_BTPD = clips.visual_BTD.reshape(
            *clips.visual_BTD.shape[:2], self.crops, self.feature_width
        )
        x_BTD = crops_BTPD[:, :, 0] + moving_parts(
            crops_BTPD[:, :, 1:], clips.lengths_B, self.moving
        )
        near_TT = nearness(x_BTD.shape[1], x_BTD.device)
        near_BTT = near_TT.expand(len(x_BTD), -1, -1).masked_fill(
            ~clips.valid_BT[:, None], -torch.inf
        )
        x_BTD = self.norm(near_BTT.softmax(-1) @ x_BTD)
        x_BTD = x_BTD + self.adapter_ffn(x_BTD)
        logits_BT = self.classifier(x_BTD + self.ffn(x_BTD)).squeeze(-1)
        text_CD = F.normalize(self.prompt(), dim=-1)
        map_BTC = alignment_map(x_BTD, text_CD) / TAU
        output = Output(logits_BT.sigmoid(), x_BTD, map_BTC.softmax(-1))
        return output, logits_BT, map_BTC, text_CD


def moving_parts(parts_BTQD: torch.Tensor, lengths_B: torch.Tensor, count: int) -> torch.Tensor:
    """Return the mean of the parts of each frame that move most, [B, T, D].

    Motion is the length of 2 x_t − x_{t−1} − x_{t+1}; at the ends of a video the missing neighbour
    is the frame itself. The softmax of the motions weights the parts.

    Args:
        parts_BTQD: features of the parts.
        lengths_B: number of valid snippets of each video.
        count: K, at most Q.
    """
    times_T = torch.arange(parts_BTQD.shape[1], device=parts_BTQD.device)
    next_BT = torch.minimum(times_T + 1, lengths_B[:, None] - 1)
    rows_B1 = torch.arange(len(parts_BTQD), device=parts_BTQD.device)[:, None]
    before_BTQD = parts_BTQD[:, (times_T - 1).clamp_min(0)]
    curvature_BTQD = 2 * parts_BTQD - before_BTQD - parts_BTQD[rows_B1, next_BT]
    motion_BTK, picked_BTK = torch.linalg.vector_norm(curvature_BTQD, dim=-1).topk(count, dim=-1)
    index_BTKD = picked_BTK[..., None].expand(-1, -1, -1, parts_BTQD.shape[-1])
    moving_BTKD = parts_BTQD.gather(2, index_BTKD)
    moving_BTD: torch.Tensor = (motion_BTK.softmax(-1)[:, :, None] @ moving_BTKD).squeeze(2)
    return moving_BTD


def stack_crops(crops: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
    """Return the features of the crops of a video as one array, float32 [T, P · D].

    Args:
        crops: features [T, D] of each crop, that of the whole frame first.

    Raises:
        ValueError: there is no crop, or they have different shapes.
    """
    shapes = {crop_TD.shape for crop_TD in crops}
    if len(shapes) != 1:
        raise ValueError(
            f"the crops of a video have the shapes {sorted(shapes)}: all must have the same"
        )
    return np.concatenate([crop_TD.astype(np.float32) for crop_TD in crops], axis=1)
