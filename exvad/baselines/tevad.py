"""TEVAD: RTFM on images and captions (Chen et al., CVPR Workshops 2023).

Image features and the text features of captions go through a trunk each, and are fused.

B videos · T snippets · D feature width · E text width
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import nn

from exvad.baselines.common.system import Clips, Recipe, snippet_text
from exvad.baselines.rtfm import (
    DROPOUT,
    MagnitudeBaseline,
    MultiScaleTrunk,
    initialize,
    scoring_head,
)


class TEVAD(MagnitudeBaseline):
    """RTFM's loss on fused image and text features.

    Args:
        width: D, a multiple of 8.
        text_width: E, a multiple of 8.
        fusion: "concat", published for UCF-Crime, or "add", for the other data sets.
        margin: see `MagnitudeBaseline`.
        extra_losses: sparse and smooth abnormal scores; an option of the public code.
        smooth_across_videos: see `MagnitudeBaseline`.
    """

    recipe = Recipe(
        videos=64,
        pairs=True,
        length="segments",
        snippets=32,
        learning_rate=1e-3,
        weight_decay=0.005,
        steps=1_000,
    )
    needs_text: ClassVar[bool] = True

    def __init__(
        self,
        width: int,
        text_width: int,
        fusion: Literal["concat", "add"] = "concat",
        margin: float = 100.0,
        extra_losses: bool = False,
        smooth_across_videos: bool = False,
    ) -> None:
        super().__init__(margin, extra_losses, smooth_across_videos)
        self.fusion = fusion
        self.visual_trunk = MultiScaleTrunk(width)
        self.text_trunk = MultiScaleTrunk(text_width)
        self.feature_width = width + text_width
        if fusion == "add":
            self.feature_width = text_width
            self.project = nn.Sequential(
                nn.Linear(width, text_width), nn.ReLU(), nn.Dropout(DROPOUT)
            )
            initialize(self.project)
        self.head = scoring_head(self.feature_width)

    def mix(self, clips: Clips) -> torch.Tensor:
        """Return the fused features.

        Raises:
            ValueError: the videos have no text features.
        """
        visual_BTD = self.visual_trunk(clips.unpadded_BTD)
        text_BTE: torch.Tensor = self.text_trunk(snippet_text(clips))
        if self.fusion == "concat":
            return torch.cat([visual_BTD, text_BTE], -1)
        fused_BTE: torch.Tensor = self.project(visual_BTD) + text_BTE
        return fused_BTE
