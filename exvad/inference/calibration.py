"""TODO"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, logit

from exvad.inference.prediction import BRANCHES, Branch, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

CERTAIN = 1e-3  # scores nearer to 0 or 1 count as this near


class Calibration(BaseModel):
    """What validation chose for answering; stored in the checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: Branch = Field("classifier", description="which coarse score is used")
    threshold: float = Field(0.5, ge=0, le=1, description="snippets above it are abnormal")
    slope: float = Field(1.0, ge=0, description="of the confidence, over the score's log-odds")
    offset: float = Field(0.0, description="log-odds of the confidence at a score of 0.5")

    def confidence(self, score: float) -> float:
        """Return how likely a video with this score was abnormal on validation, 0 to 1."""
        return float(expit(self.slope * _log_odds(np.asarray(score)) + self.offset))

    def even_score(self) -> float:
        """Return the score from which abnormal is likelier than not; the threshold at least."""
        if not self.slope:
            return self.threshold
        return max(self.threshold, float(expit(-self.offset / self.slope)))


def calibrate(predictions: Sequence[Prediction], abnormal_N: NDArray[np.bool_]) -> Calibration:
    """Choose branch and threshold on videos of which only "abnormal or not" is known.

    The branch is the classifier, unless the alignment's video scores rank abnormal videos clearly
    higher (by an AUC of more than 1/(2√N)). The threshold lies in the middle of the widest range
    of those that tell the videos apart best (Youden's J).
    """
    if abnormal_N.all() or not abnormal_N.any():
        return Calibration(branch="classifier", threshold=0.5)
    auc = {branch: _ranking(_video_scores(predictions, branch), abnormal_N) for branch in BRANCHES}
    # Whole videos tell little of where a branch is high. The classifier is there for that, so the
    # other branch takes over only where the difference is more than noise.
    noise = 0.5 / np.sqrt(len(predictions))
    best: Branch = "alignment" if auc["alignment"] > auc["classifier"] + noise else "classifier"
    scores_N = _video_scores(predictions, best)
    edges = np.concatenate([[0.0], np.unique(scores_N), [1.0]])
    middles = (edges[:-1] + edges[1:]) / 2
    above = scores_N[None, :] > middles[:, None]
    gain = above[:, abnormal_N].mean(1) - above[:, ~abnormal_N].mean(1)
    widths = np.where(gain >= gain.max() - 1e-9, np.diff(edges), -1)
    slope, offset = _platt(scores_N, abnormal_N)
    threshold = float(middles[widths.argmax()])
    return Calibration(branch=best, threshold=threshold, slope=slope, offset=offset)


def _platt(scores_N: NDArray[np.float64], abnormal_N: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit confidence to outcomes by logistic regression, with Platt's (1999) smoothed targets.

    The smoothing keeps the confidence away from 0 and 1 as far as few videos demand it. Scores that
    rank abnormal videos no better than chance tell nothing: the slope is then 0.
    """
    from sklearn.linear_model import LogisticRegression

    abnormal, normal = int(abnormal_N.sum()), int((~abnormal_N).sum())
    hoped_N = np.where(abnormal_N, (abnormal + 1) / (abnormal + 2), 1 / (normal + 2))
    odds_N1 = _log_odds(scores_N)[:, None]
    fitted = LogisticRegression(C=1e4, max_iter=1000).fit(
        np.concatenate([odds_N1, odds_N1]),
        np.repeat([1, 0], len(scores_N)),
        sample_weight=np.concatenate([hoped_N, 1 - hoped_N]),
    )
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return (slope, offset) if slope > 0 else (0.0, float(np.log(abnormal / normal)))


def _log_odds(scores_N: NDArray[np.floating]) -> NDArray[np.float64]:
    clipped_N = np.clip(np.asarray(scores_N, np.float64), CERTAIN, 1 - CERTAIN)
    odds_N: NDArray[np.float64] = logit(clipped_N)
    return odds_N


def _video_scores(predictions: Sequence[Prediction], branch: Branch) -> NDArray[np.float64]:
    return np.array([prediction.video_score(branch) for prediction in predictions])


def _ranking(scores_N: NDArray[np.float64], abnormal_N: NDArray[np.bool_]) -> float:
    """Return the AUC: how often an abnormal video scores above a normal one, ties half."""
    difference = scores_N[abnormal_N][:, None] - scores_N[~abnormal_N][None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())
