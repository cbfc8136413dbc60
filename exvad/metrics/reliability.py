"""Calibration error: how far scores are from the shares of what is abnormal among them.

M scores · Q bins
"""

from __future__ import annotations

import numpy as np

from exvad.metrics.types import Floats, Integers, Numbers

BINS = 15


def calibration_error(
    score_M: Floats, positive_M: Numbers, negative_M: Numbers, bins: int = BINS
) -> float:
    """Measure the expected calibration error of scores as probabilities (Guo et al., ICML 2017).

    Scores are put into bins of equal width. The error of a bin is the difference between its mean
    score and its share of positives; the result is the mean over the bins by what is in them.

    Args:
        score_M: scores, 0 to 1.
        positive_M: positives with this score, such as its abnormal frames.
        negative_M: negatives with this score.
        bins: Q.

    Returns:
        0 to 1; 0 is perfect.

    Raises:
        ValueError: a score is no probability, shapes differ, or nothing counts.
    """
    score_M = np.asarray(score_M)
    if not (score_M.shape == np.shape(positive_M) == np.shape(negative_M)):
        raise ValueError("give as many counts of positives and negatives as scores")
    if not ((score_M >= 0) & (score_M <= 1)).all():
        raise ValueError("a calibration error needs scores from 0 to 1")
    if not (np.sum(positive_M) + np.sum(negative_M)) > 0:
        raise ValueError("nothing counts: there are neither positives nor negatives")
    return binned_error(score_bins(score_M, bins), score_M, positive_M, negative_M, bins)


def score_bins(score_M: Floats, bins: int = BINS) -> Integers:
    """Return the bin of each score, 0 to Q − 1."""
    return np.minimum((score_M * bins).astype(np.int64), bins - 1)


def binned_error(
    bin_M: Integers, score_M: Floats, positive_M: Numbers, negative_M: Numbers, bins: int = BINS
) -> float:
    """Return the calibration error of scores whose bins are known; see `calibration_error`."""
    total_M = positive_M + negative_M
    expected_Q = np.bincount(bin_M, total_M * score_M, bins)
    positive_Q = np.bincount(bin_M, positive_M, bins)
    return float(np.abs(positive_Q - expected_Q).sum() / total_M.sum())
