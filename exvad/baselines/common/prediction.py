"""Scores and class maps of whole videos.

T snippets · C classes
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from exvad.baselines.common.sampling import VideoFeatures, collate
from exvad.baselines.common.system import Baseline, Clips

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class BaselinePrediction:
    """The output of a system for one video.

    Args:
        scores_T: anomaly scores, 0 to 1.
        probabilities_TC: class map, the normal class first; None without a class head.
    """

    scores_T: NDArray[np.float32]
    probabilities_TC: NDArray[np.float32] | None


def predict_videos(system: Baseline, videos: Iterable[VideoFeatures]) -> list[BaselinePrediction]:
    """Run a system over every video at full length, or in chunks if it takes no more.

    Videos are not batched, so that no system sees padding.

    Args:
        system: the trained system; it is left in evaluation mode.
        videos: the videos; their labels are not used.

    Returns:
        One prediction per video, in order.
    """
    system.eval()
    device = next(system.parameters()).device
    predictions = []
    with torch.inference_mode():
        for video in videos:
            clips = collate([video]).to(device)
            outputs = [system(part) for part in _cut(clips, system.chunk)]
            scores_T = torch.cat([output.scores_BT[0].float() for output in outputs])
            maps = [
                output.probabilities_BTC[0].float()
                for output in outputs
                if output.probabilities_BTC is not None
            ]
            probabilities_TC = torch.cat(maps).cpu().numpy() if maps else None
            predictions.append(BaselinePrediction(scores_T.cpu().numpy(), probabilities_TC))
    return predictions


def _cut(clips: Clips, chunk: int | None) -> list[Clips]:
    length = clips.visual_BTD.shape[1]
    if chunk is None or length <= chunk:
        return [clips]
    parts = []
    for start in range(0, length, chunk):
        part = slice(start, start + chunk)
        visual_BTD = clips.visual_BTD[:, part]
        text = clips.text
        if text is not None and text.ndim == 3:
            text = text[:, part]
        lengths_B = torch.full_like(clips.lengths_B, visual_BTD.shape[1])
        parts.append(replace(clips, visual_BTD=visual_BTD, text=text, lengths_B=lengths_B))
    return parts
