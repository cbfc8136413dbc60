"""Captions T_i = Φ_C(P_C, I_i) of clips (paper, equation 1), from as few calls as possible.

f frames per caption · H, W pixels
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING

import numpy as np

from exvad.encoders.answers import CaptionError
from exvad.encoders.protocols import ClipCaptioner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.protocols import Captioner


def caption_lists(
    captioner: Captioner, lists: Sequence[Sequence[NDArray[np.uint8]]]
) -> list[list[str] | CaptionError]:
    """Return one caption for each clip in each list, or why a list has none."""
    clips = [clip for clips_of_list in lists for clip in clips_of_list]
    try:
        captions = iter(_caption_clips_of_any_size(captioner, clips))
    except CaptionError as error:
        if len(lists) == 1:
            return [error]
        # One clip has no caption: caption list by list, so that only its own list has none.
        return [result for clips in lists for result in caption_lists(captioner, [clips])]
    return [list(islice(captions, len(clips))) for clips in lists]


def _caption_clips_of_any_size(
    captioner: Captioner, clips: Sequence[NDArray[np.uint8]]
) -> Sequence[str]:
    """Return one caption for each clip, from as few calls as the captioner allows."""
    if isinstance(captioner, ClipCaptioner):
        return captioner.caption_clips(clips)
    captions = [""] * len(clips)
    by_shape = sorted(range(len(clips)), key=lambda index: clips[index].shape)
    for _, group in groupby(by_shape, key=lambda index: clips[index].shape):
        indices = list(group)
        texts = caption_clips(captioner, [clips[index] for index in indices])
        for index, text in zip(indices, texts, strict=True):
            captions[index] = text
    return captions


def caption_clips(captioner: Captioner, clips: Sequence[NDArray[np.uint8]]) -> list[str]:
    """Return one caption for each clip: T_i = Φ_C(P_C, I_i) of equation 1.

    Args:
        captioner: Φ_C; a `ClipCaptioner` if a clip has several frames.
        clips: RGB, uint8 [f, H, W, 3] each. Clips of one frame have the same size.

    Raises:
        CaptionError: the captioner gives no caption for a clip.
    """
    if all(len(clip_fHWC) == 1 for clip_fHWC in clips):
        return captioner.caption(np.concatenate(clips))
    assert isinstance(captioner, ClipCaptioner), "load_captioner refuses frames > 1 otherwise"
    return captioner.caption_clips(clips)
