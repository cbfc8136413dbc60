"""TODO"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exvad.aegm.explanation import _unit

if TYPE_CHECKING:
    from numpy.typing import NDArray


def captioned_snippets(num_snippets: int, count: int) -> list[int]:
    """Choose n snippets spread evenly over a video, each once.

    Args:
        num_snippets: T ≥ 1.
        count: n ≥ 1; a video with fewer snippets has all of them captioned.

    Returns:
        Ascending snippet numbers, at most `count` of them.
    """
    assert num_snippets >= 1
    assert count >= 1
    if num_snippets <= count:
        return list(range(num_snippets))
    centres = (np.arange(count) + 0.5) * num_snippets / count
    return [int(centre) for centre in centres]


@dataclass(frozen=True)
class CleanedCaptions:
    """The captions T̂ and how many frames were given another caption than their own."""

    captions: list[str]
    features_cD: NDArray[np.float32]
    changed: int


def clean_captions(
    captions: Sequence[str],
    image_cD: NDArray[np.floating],
    text_cD: NDArray[np.floating],
    window: int | None = None,
) -> CleanedCaptions:
    """Give every captioned frame the closest caption of its video (equation 2).

    T̂_i = argmax_{T_j} ⟨E_I(I_i), E_T(T_j)⟩. A frame whose own caption is as close as any keeps it.

    Args:
        captions: T_1 … T_c in order of time.
        image_cD: E_I of the captioned frames.
        text_cD: E_T of the captions.
        window: consider only captions at most this many captioned frames away; None for all.

    Returns:
        The cleaned captions with their features [c, D] and the number of changed ones.
    """
    count = len(captions)
    assert image_cD.shape == text_cD.shape
    assert len(image_cD) == count
    similarity_cc = _unit(image_cD) @ _unit(text_cD).T
    similarity_cc[np.arange(count), np.arange(count)] += 1e-6
    if window is not None:
        distance_cc = np.abs(np.arange(count)[:, None] - np.arange(count)[None, :])
        similarity_cc[distance_cc > window] = -np.inf
    closest = similarity_cc.argmax(1)
    cleaned = [captions[index] for index in closest]
    changed = sum(new != old for new, old in zip(cleaned, captions, strict=True))
    return CleanedCaptions(cleaned, text_cD[closest].astype(np.float32), changed)
