"""Scores of whole videos.

T snippets · D feature width
"""

from __future__ import annotations

import numpy as np
import torch

from exvad.baselines.common.prediction import predict_videos
from exvad.baselines.real_ad import RealAD
from exvad.baselines.vadclip import LabelPrompt, VadCLIP
from exvad.store.examples import Example
from tests.helpers import planted


def test_predict_scores_videos_at_full_length_and_alone() -> None:
    torch.manual_seed(0)
    system = RealAD(planted.WIDTH)
    videos = planted.examples(3, 0, (5, 300))
    together = predict_videos(system, videos)
    for video, prediction in zip(videos, together, strict=True):
        (alone,) = predict_videos(system, [video])
        assert prediction.probabilities_TC is None
        assert prediction.scores_T.shape == (len(video.visual_TD),)
        np.testing.assert_allclose(prediction.scores_T, alone.scores_T)


def test_predict_cuts_videos_that_are_longer_than_the_system_takes() -> None:
    torch.manual_seed(0)
    system = VadCLIP(planted.WIDTH, LabelPrompt(torch.from_numpy(planted.directions())))
    (video,) = planted.examples(1, 0, (300, 300))
    (whole,) = predict_videos(system, [video])
    parts = [
        Example("part", rows_TD, None, video.target_C)
        for rows_TD in (video.visual_TD[:256], video.visual_TD[256:])
    ]
    first, second = predict_videos(system, parts)
    np.testing.assert_allclose(
        whole.scores_T, np.concatenate([first.scores_T, second.scores_T]), rtol=1e-5
    )
    assert whole.probabilities_TC is not None
    assert whole.probabilities_TC.shape == (300, len(planted.CLASSES))


def test_predict_leaves_the_system_in_evaluation_mode() -> None:
    system = RealAD(planted.WIDTH).train()
    predict_videos(system, planted.examples(1, 0))
    assert not system.training
