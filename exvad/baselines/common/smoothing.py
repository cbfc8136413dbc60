"""What VERA does to its scores after the model has answered: similar moments, time, position.

It needs scores and image features only, so it also applies to any other system, as a control for
how much of a result comes from it.

T snippets · D feature width · W taps of a kernel
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exvad.baselines.common.refinement import refine

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class PostProcessing:
    """The steps after the verdicts, with VERA's numbers.

    Args:
        share: of the moments of a video, those whose scores are averaged by similarity; at least
            one counts, the moment itself. 0 skips the step.
        scale: of the cosines in the softmax of the weights.
        width: taps of the Gaussian over time; 0 skips the step.
        sigma: of the Gaussian, in snippets.
        off_centre: a Gaussian with one tap more, towards the past, as in the public code.
        all_of_few: where `share` rounds to no moment, all are averaged, as in the public code.
        squash: take the logistic function of smoothed scores, which are 0.5 to 0.73 after it, as
            the public code does for the AP on XD-Violence.
        decimals: places that smoothed scores are rounded to; None for no rounding. The public code
            has 1.
        position: weight scores by their place in the video, the middle highest, as in the public
            code. It exploits where the events of a benchmark lie.
    """

    share: float = 0.15
    scale: float = 10.0
    width: int = 15
    sigma: float = 10.0
    off_centre: bool = False
    all_of_few: bool = False
    squash: bool = False
    decimals: int | None = None
    position: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or self.width < 0 or self.sigma <= 0:
            raise ValueError(
                f"share {self.share}, width {self.width} and sigma {self.sigma} are no smoothing: "
                "the share is 0 to 1, the width at least 0, and sigma above 0"
            )

    def apply(
        self, scores_T: NDArray[np.floating], visual_TD: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Return the scores of a video after all steps, 0 to 1 if they were so before.

        Args:
            scores_T: scores in order of time.
            visual_TD: features of the same moments.
        """
        smoothed_T = scores_T.astype(np.float64)
        if self.share:
            count = int(self.share * len(scores_T))
            least = len(scores_T) if self.all_of_few else 1
            smoothed_T = refine(smoothed_T, visual_TD, visual_TD, count or least, self.scale)
        if self.width:
            smoothed_T = gaussian_smooth(smoothed_T, self.width, self.sigma, self.off_centre)
        if self.squash:
            smoothed_T = 1 / (1 + np.exp(-smoothed_T))
        if self.decimals is not None:
            smoothed_T = smoothed_T.round(self.decimals)
        if self.position:
            smoothed_T = smoothed_T * position_weights(len(smoothed_T))
        return smoothed_T.astype(np.float32)


FAITHFUL = PostProcessing(off_centre=True, all_of_few=True, decimals=1, position=True)
FAITHFUL_XD = PostProcessing(off_centre=True, all_of_few=True, decimals=1, squash=True)


def faithful(kind: str) -> PostProcessing:
    """Return what VERA's public code does to the scores of a data set.

    Args:
        kind: kind of the data set.
    """
    return FAITHFUL_XD if kind == "xd_violence" else FAITHFUL


def gaussian_smooth(
    scores_T: NDArray[np.floating], width: int, sigma: float, off_centre: bool = False
) -> NDArray[np.float64]:
    """Average scores over time with the weights of a Gaussian.

    At the ends of the video the weights within it count, so that constant scores stay constant.

    Args:
        scores_T: the scores.
        width: taps, the middle one at the moment itself; an even number has one more in the past.
        sigma: standard deviation in snippets.
        off_centre: one more tap in the past, −⌈width / 2⌉ to ⌊width / 2⌋.
    """
    offsets_W = np.arange(-(width // 2), width - width // 2)
    if off_centre:
        offsets_W = np.arange(-width // 2, width // 2 + 1)
    kernel_W = np.exp(-0.5 * (offsets_W / sigma) ** 2)
    before, after = -int(offsets_W[0]), int(offsets_W[-1])
    mass_T = np.correlate(np.pad(np.ones(len(scores_T)), (before, after)), kernel_W, "valid")
    sums_T = np.correlate(np.pad(scores_T, (before, after)), kernel_W, "valid")
    smoothed_T: NDArray[np.float64] = sums_T / mass_T
    return smoothed_T.clip(scores_T.min(), scores_T.max())


def position_weights(length: int) -> NDArray[np.float64]:
    """Return VERA's weight of each snippet by its place: 1 in the middle, 0.61 at the ends.

    Args:
        length: T.
    """
    places_T = (np.arange(length) + 0.5) / length
    weights_T: NDArray[np.float64] = np.exp(-2 * (places_T - 0.5) ** 2)
    return weights_T
