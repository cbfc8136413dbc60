"""Calibration: branch, threshold and confidence, chosen on the validation videos.

N videos
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, logit

from exvad.inference.prediction import BRANCHES, Branch, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SCORE_MARGIN = 1e-3  # scores are clipped this far from 0 and 1 before the logarithm


class Calibration(BaseModel):
    """How scores become answers; stored in the checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: Branch = Field("classifier", description="branch that gives the anomaly score")
    threshold: float = Field(0.5, ge=0, le=1, description="snippets above it are abnormal")
    slope: float = Field(1.0, ge=0, description="of the confidence, over the score's log-odds")
    offset: float = Field(0.0, description="log-odds of the confidence at a score of 0.5")

    def confidence(self, score: float) -> float:
        """Return the probability that a video with this score is abnormal, 0 to 1.

        Args:
            score: anomaly score of `branch`, 0 to 1.
        """
        return float(expit(self.slope * _log_odds(np.asarray(score)) + self.offset))

    def even_odds_score(self) -> float:
        """Return the score whose confidence is 0.5, but at least the threshold, 0 to 1."""
        if not self.slope:
            return self.threshold
        return max(self.threshold, float(expit(-self.offset / self.slope)))


def calibrate(predictions: Sequence[Prediction], abnormal_N: NDArray[np.bool_]) -> Calibration:
    """Choose branch, threshold and confidence on videos with weak labels.

    The branch is the classifier, unless the video scores of the alignment have a clearly higher AUC
    (by more than 1 / (2√N)). The threshold maximizes Youden's J; of the thresholds that do, it is
    the middle of the widest range. The confidence is fitted by Platt scaling.

    Args:
        predictions: of the N validation videos.
        abnormal_N: whether each video is abnormal. If all or none are, nothing can be chosen, and
            the result is the classifier with a threshold of 0.5.
    """
    if abnormal_N.all() or not abnormal_N.any():
        return Calibration(branch="classifier", threshold=0.5)
    auc = {branch: _auc(_video_scores(predictions, branch), abnormal_N) for branch in BRANCHES}
    # The classifier is trained to localize anomalies, and a video-level AUC does not measure that.
    # So the alignment must be better by more than the noise of N videos.
    noise = 0.5 / np.sqrt(len(predictions))
    branch: Branch = "alignment" if auc["alignment"] > auc["classifier"] + noise else "classifier"
    scores_N = _video_scores(predictions, branch)
    slope, offset = _platt_scaling(scores_N, abnormal_N)
    return Calibration(
        branch=branch,
        threshold=_best_threshold(scores_N, abnormal_N),
        slope=slope,
        offset=offset,
    )


def _best_threshold(scores_N: NDArray[np.float64], abnormal_N: NDArray[np.bool_]) -> float:
    edges = np.concatenate([[0.0], np.unique(scores_N), [1.0]])
    thresholds = (edges[:-1] + edges[1:]) / 2
    above = scores_N[None, :] > thresholds[:, None]
    youden = above[:, abnormal_N].mean(1) - above[:, ~abnormal_N].mean(1)
    widths = np.where(youden >= youden.max() - 1e-9, np.diff(edges), -1)
    return float(thresholds[widths.argmax()])


def _platt_scaling(
    scores_N: NDArray[np.float64], abnormal_N: NDArray[np.bool_]
) -> tuple[float, float]:
    """Fit slope and offset of the confidence by logistic regression (Platt, 1999).

    Platt's smoothed targets keep the confidence of few videos away from 0 and 1. A slope of 0 or
    less means that the scores do not rank abnormal videos higher. The confidence is then the share
    of abnormal videos, for any score.
    """
    # Imported here because a server loads this module and never calibrates.
    from sklearn.linear_model import LogisticRegression

    abnormal, normal = int(abnormal_N.sum()), int((~abnormal_N).sum())
    targets_N = np.where(abnormal_N, (abnormal + 1) / (abnormal + 2), 1 / (normal + 2))
    log_odds_N1 = _log_odds(scores_N)[:, None]
    regression = LogisticRegression(C=1e4, max_iter=1000).fit(
        np.concatenate([log_odds_N1, log_odds_N1]),
        np.repeat([1, 0], len(scores_N)),
        sample_weight=np.concatenate([targets_N, 1 - targets_N]),
    )
    slope, offset = float(regression.coef_[0, 0]), float(regression.intercept_[0])
    return (slope, offset) if slope > 0 else (0.0, float(np.log(abnormal / normal)))


def _log_odds(scores_N: NDArray[np.floating]) -> NDArray[np.float64]:
    clipped_N = np.clip(np.asarray(scores_N, np.float64), MIN_SCORE_MARGIN, 1 - MIN_SCORE_MARGIN)
    log_odds_N: NDArray[np.float64] = logit(clipped_N)
    return log_odds_N


def _video_scores(predictions: Sequence[Prediction], branch: Branch) -> NDArray[np.float64]:
    return np.array([prediction.video_score(branch) for prediction in predictions])


def _auc(scores_N: NDArray[np.float64], abnormal_N: NDArray[np.bool_]) -> float:
    """Return the share of pairs in which the abnormal video scores higher; ties count half."""
    difference = scores_N[abnormal_N][:, None] - scores_N[~abnormal_N][None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())
