"""Videos with captions whose images look like what the captions say.

N texts · T snippets · D feature width
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from exvad.store.feature_bank import VideoFeatures
from tests.helpers.fakes import FakeEncoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 64
STREET, WALK, FIRE = "an empty street", "people walk by", "flames come out of a car"
LABELS = ("Normal", "Arson", "Robbery")


class WordEncoder(FakeEncoder):
    """An encoder for which a text is the sum of its words: texts with equal words are similar."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__(width)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts into features [N, D]."""
        words = [re.findall(r"\w+", text.lower()) or [""] for text in texts]
        return np.stack([super(WordEncoder, self).encode_texts(row).sum(0) for row in words])


def captioned_video(
    scenes: Sequence[str],
    video_id: str = "v",
    captioned: Sequence[int] | None = None,
    captions: Sequence[str] | None = None,
    seconds: float = 1.0,
    noise: float = 0.05,
) -> VideoFeatures:
    """Return the features of a video.

    Args:
        scenes: what each of the T snippets shows, in the words of a caption.
        video_id: its name.
        captioned: the captioned snippets; None for all.
        captions: their captions; None for what they show.
        seconds: distance of the snippets.
        noise: standard deviation of what is added to the features.
    """
    encoder, rng = WordEncoder(), np.random.default_rng(len(scenes))
    visual_TD = encoder.encode_texts(scenes)
    noise_TD = noise * rng.normal(size=visual_TD.shape)
    chosen = list(range(len(scenes)) if captioned is None else captioned)
    return VideoFeatures(
        video_id=video_id,
        visual=(visual_TD + noise_TD).astype(np.float16),
        times=np.arange(len(scenes)) * seconds,
        text=None,
        caption_snippets=chosen,
        captions=[scenes[index] for index in chosen] if captions is None else list(captions),
        cleaned_captions=[],
        explanation="",
        record=None,
        num_frames=len(scenes) * 16,
        fps=16.0,
    )


def burning_video(video_id: str = "v") -> VideoFeatures:
    """Return a video of 60 seconds with fire from second 30 to 40."""
    return captioned_video([STREET] * 30 + [FIRE] * 10 + [WALK] * 20, video_id)


def quiet_video(video_id: str = "quiet") -> VideoFeatures:
    """Return a video of 50 seconds without anything abnormal."""
    return captioned_video([STREET] * 25 + [WALK] * 25, video_id)
