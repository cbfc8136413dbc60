"""Predictions of the systems of `exvad.baselines`, in the form of those of Ex-VAD's network.

T snippets of a video · C classes
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from exvad.baselines.common.prediction import predict_videos
from exvad.inference.prediction import Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.baselines.common.system import Baseline
    from exvad.store.examples import Example


def predict_system(
    system: Baseline, examples: Iterable[Example], coarse: bool = False
) -> list[Prediction]:
    """Run a system over videos at full length.

    Args:
        system: the trained system; it is left in evaluation mode.
        examples: the videos; their labels are not used.
        coarse: whether to leave out a class map that the system may have.

    Returns:
        One prediction per video, in order. Both branches have the scores of the system. Without a
        class map there are two classes: 1 − s is the probability of the normal one.
    """
    return [
        as_prediction(prediction.scores_T, None if coarse else prediction.probabilities_TC)
        for prediction in predict_videos(system, examples)
    ]


def as_prediction(
    scores_T: NDArray[np.float32], probabilities_TC: NDArray[np.float32] | None
) -> Prediction:
    """Return scores and class map as a prediction; see `predict_system`.

    Args:
        scores_T: anomaly scores, 0 to 1.
        probabilities_TC: class map; None without classes.
    """
    if probabilities_TC is None:
        probabilities_TC = np.stack([1 - scores_T, scores_T], axis=1)
    return Prediction({"classifier": scores_T, "alignment": scores_T}, probabilities_TC)
