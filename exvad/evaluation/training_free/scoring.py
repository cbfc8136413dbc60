"""The result of a system without training, and what its systems share.

N windows · T snippets · C classes · D feature width
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from exvad.baselines.common.class_maps import zero_shot_map
from exvad.baselines.common.prediction import BaselinePrediction
from exvad.baselines.common.refinement import interpolate
from exvad.evaluation.training_free.answers import AnswerCount

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.feature_bank import VideoFeatures

UNDECIDED = 0.5


@dataclass(frozen=True)
class TrainingFreeResult:
    """The scores of a system for videos, and what its language model did not answer.

    Args:
        predictions: one per video, in order, as those of the trained systems.
        answers: step → its answers.
        undecided: ids of the videos without any usable answer; all their scores are 0.5.
    """

    predictions: list[BaselinePrediction]
    answers: Mapping[str, AnswerCount]
    undecided: tuple[str, ...]

    def notes(self) -> list[str]:
        """Return a sentence per step with answers that could not be used, and one on videos."""
        sentences = [
            f"{step}: {phrase}"
            for step, count in self.answers.items()
            if (phrase := count.describe())
        ]
        if self.undecided:
            shown = ", ".join(self.undecided[:5]) + (", …" if len(self.undecided) > 5 else "")
            sentences.append(
                f"no usable answer about {len(self.undecided)} of {len(self.predictions)} videos, "
                f"which have the score {UNDECIDED} everywhere: {shown}"
            )
        return sentences


class TrainingFreeSystem(Protocol):
    """A system that scores videos by what a language model says about them."""

    def score(self, videos: Sequence[VideoFeatures]) -> TrainingFreeResult:
        """Score every snippet of videos.

        Args:
            videos: features, times and captions, as a `FeatureBank` gives them.

        Raises:
            ValueError: a video has no captions, or no answer about any video could be used.
        """
        ...


def fill_unanswered(
    centres_N: NDArray[np.intp], values: Sequence[float | None]
) -> NDArray[np.float64] | None:
    """Return the values of windows, those without one on lines between their neighbours.

    Args:
        centres_N: the snippet in the middle of each window, ascending.
        values: the value of each window; None for an answer that could not be used.

    Returns:
        float64 [N]; None if there is no value at all.
    """
    known = [index for index, value in enumerate(values) if value is not None]
    if not known:
        return None
    known_values = np.array([values[index] for index in known], np.float64)
    return interpolate(centres_N, centres_N[known], known_values)


def collect(
    name: str,
    videos: Sequence[VideoFeatures],
    scores: Sequence[NDArray[np.floating] | None],
    answers: Mapping[str, AnswerCount],
    label_CD: NDArray[np.floating] | None,
) -> TrainingFreeResult:
    """Put the scores of videos together; videos without any are undecided.

    Args:
        name: of the system, for the error.
        videos: the videos.
        scores: scores [T] of each; None where no answer could be used.
        answers: step → its answers.
        label_CD: label embeddings for the zero-shot class map (F3), the normal class first; None
            for no class map.

    Raises:
        ValueError: no video has scores.
    """
    if videos and all(scores_T is None for scores_T in scores):
        phrases = "; ".join(
            f"{step}: {phrase}" for step, count in answers.items() if (phrase := count.describe())
        )
        raise ValueError(
            f"{name} got no usable answer about any video ({phrases}): choose another llm.model, "
            "which follows instructions"
        )
    predictions = []
    for video, given_T in zip(videos, scores, strict=True):
        scores_T = np.full(len(video.visual), UNDECIDED) if given_T is None else given_T
        scores_T = scores_T.astype(np.float32)
        class_map = None if label_CD is None else zero_shot_map(scores_T, video.visual, label_CD)
        predictions.append(BaselinePrediction(scores_T, class_map))
    undecided = tuple(
        video.video_id for video, given in zip(videos, scores, strict=True) if given is None
    )
    return TrainingFreeResult(predictions, dict(answers), undecided)
