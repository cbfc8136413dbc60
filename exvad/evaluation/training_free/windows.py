"""Windows of a few seconds: their snippets, features and captions.

T snippets of a video · N windows · M snippets of a window that are looked at · c captions
D feature width
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from exvad.encoders.vectors import MIN_LENGTH, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.protocols import ImageTextEncoder
    from exvad.store.feature_bank import VideoFeatures


@dataclass(frozen=True)
class Windows:
    """The windows of a video.

    Args:
        centres_N: the snippet in the middle of each window, ascending.
        first_N: its first snippet.
        last_N: its last snippet.
        rows_NM: the snippets that are looked at, at equal distances; some twice where a window has
            fewer.
    """

    centres_N: NDArray[np.intp]
    first_N: NDArray[np.intp]
    last_N: NDArray[np.intp]
    rows_NM: NDArray[np.intp]


def cut_windows(
    times_T: NDArray[np.floating], seconds: float, frames: int, every: int = 1
) -> Windows:
    """Cut windows around the snippets of a video; those at its ends are shorter.

    Args:
        times_T: seconds of each snippet, ascending.
        seconds: length of a window.
        frames: M.
        every: distance of the centres in snippets; the first and the last snippet are centres.
    """
    if seconds <= 0 or frames < 1 or every < 1:
        raise ValueError(
            f"windows of {seconds} seconds with {frames} frames around every {every}th snippet "
            "are impossible: seconds must be above 0, the others at least 1"
        )
    last = len(times_T) - 1
    centres_N = np.unique(np.append(np.arange(0, last + 1, every), last))
    middle_N = times_T[centres_N]
    # A snippet that is half a window away up to rounding belongs to the window.
    reach = seconds / 2 + 1e-6
    first_N = np.searchsorted(times_T, middle_N - reach)
    last_N = np.searchsorted(times_T, middle_N + reach, side="right") - 1
    shares_M = np.linspace(0, 1, frames) if frames > 1 else np.array([0.5])
    rows_NM = np.rint(first_N[:, None] + (last_N - first_N)[:, None] * shares_M).astype(np.intp)
    return Windows(centres_N, first_N, last_N, rows_NM)


def window_features(visual_TD: NDArray[np.floating], windows: Windows) -> NDArray[np.float32]:
    """Return the mean direction of all snippets of each window, [N, D].

    Args:
        visual_TD: image features of the snippets.
        windows: the windows.
    """
    unit_TD = unit_vectors(visual_TD, MIN_LENGTH)
    sums_TD = np.zeros((len(unit_TD) + 1, unit_TD.shape[1]))
    np.cumsum(unit_TD, axis=0, dtype=np.float64, out=sums_TD[1:])
    mean_ND = sums_TD[windows.last_N + 1] - sums_TD[windows.first_N]
    return unit_vectors(mean_ND, MIN_LENGTH)


def snippet_captions(
    video: VideoFeatures, clip: ImageTextEncoder, clean: bool = True
) -> NDArray[np.intp]:
    """Return which caption of the video speaks for each snippet, [T].

    Args:
        video: a video with captions.
        clip: the encoder of its image features, for texts.
        clean: the caption most similar to the snippet's image, as LAVAD cleans captions; else that
            of the nearest captioned snippet.

    Raises:
        ValueError: the video has no captions, or the encoder another width than its features.
    """
    if not video.captions:
        raise ValueError(
            f"{video.video_id} has no captions, which systems without training read: preprocess "
            "it with a captioner"
        )
    if not clean:
        snippets_T = np.arange(len(video.visual))
        distance_Tc = np.abs(snippets_T[:, None] - np.asarray(video.caption_snippets))
        nearest_T: NDArray[np.intp] = distance_Tc.argmin(1)
        return nearest_T
    distinct = list(dict.fromkeys(video.captions))
    text_cD = clip.encode_texts(distinct)
    if text_cD.shape[1] != video.visual.shape[1]:
        raise ValueError(
            f"the image features of {video.video_id} are {video.visual.shape[1]} wide, but those "
            f"of its captions {text_cD.shape[1]}: clip.model must be the model of the features"
        )
    similarity_Tc = unit_vectors(video.visual, MIN_LENGTH) @ unit_vectors(text_cD, MIN_LENGTH).T
    first_c = np.array([video.captions.index(caption) for caption in distinct])
    best_T: NDArray[np.intp] = first_c[similarity_Tc.argmax(1)]
    return best_T


def window_texts(
    video: VideoFeatures, caption_T: NDArray[np.intp], rows_NM: NDArray[np.intp]
) -> list[str]:
    """Return the captions of each window as lines in order of time, without repeats in a row.

    Args:
        video: the video.
        caption_T: which caption speaks for each snippet.
        rows_NM: the snippets of each window, ascending.
    """
    return [
        caption_lines(video.captions[index] for index in row) for row in caption_T[rows_NM].tolist()
    ]


def caption_lines(captions: Iterable[str]) -> str:
    """Return captions as a list, one per line, without repeats in a row."""
    lines = (f"- {' '.join(caption.split())}" for caption in captions)
    return "\n".join(line for line, _ in groupby(lines))
