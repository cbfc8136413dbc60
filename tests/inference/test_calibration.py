"""Calibration: branch, threshold and confidence from video labels."""

from __future__ import annotations

import numpy as np
import pytest

from exvad.inference.calibration import Calibration, calibrate
from exvad.inference.prediction import Prediction


def prediction(classifier: float, alignment: float) -> Prediction:
    scores = {"classifier": np.full(4, classifier), "alignment": np.full(4, alignment)}
    return Prediction(scores, np.zeros((4, 2), np.float32))  # type: ignore[arg-type]


def test_calibrate_chooses_the_better_branch_and_the_middle_of_the_widest_range() -> None:
    predictions = [prediction(0.5, p) for p in (0.1, 0.2, 0.7, 0.9)]
    chosen = calibrate(predictions, np.array([False, False, True, True]))
    assert chosen.branch == "alignment"
    assert chosen.threshold == pytest.approx(0.45)


def test_calibrate_keeps_the_classifier_without_a_clear_difference() -> None:
    """With 40 videos an AUC of 0.95 is not clearly lower than one of 1."""
    predictions = [
        prediction((0.9 if n == 39 else 0.2) if n < 20 or n == 39 else 0.8, n / 40)
        for n in range(40)
    ]
    predictions[0] = prediction(0.85, 0.0)
    abnormal = np.arange(40) >= 20
    assert calibrate(predictions, abnormal).branch == "classifier"


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_confidence_is_the_share_of_abnormal_videos_of_a_score(sharpness: float) -> None:
    """Over- and underconfident scores are corrected."""
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.02, 0.98, 4000)
    abnormal = rng.random(4000) < truth
    scores = truth**sharpness / (truth**sharpness + (1 - truth) ** sharpness)
    chosen = calibrate([prediction(score, 0.5) for score in scores[:2000]], abnormal[:2000])
    confidence = np.array([chosen.confidence(score) for score in scores[2000:]])
    for low in np.arange(0, 1, 0.2):
        inside = (confidence >= low) & (confidence < low + 0.2)
        assert confidence[inside].mean() == pytest.approx(abnormal[2000:][inside].mean(), abs=0.06)


def test_confidence_of_few_videos_is_never_certain_and_rises_with_the_score() -> None:
    few = calibrate([prediction(p, 0.5) for p in (0.1, 0.2, 0.8, 0.9)], np.arange(4) > 1)
    levels = [few.confidence(score) for score in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert levels == sorted(levels)
    assert levels[1] < 0.5 < levels[3] < 0.95


def test_confidence_of_misleading_scores_is_the_share_of_abnormal_videos() -> None:
    abnormal = np.array([True, True, True, False])
    wrong = calibrate([prediction(p, p) for p in (0.1, 0.2, 0.3, 0.9)], abnormal)
    assert wrong.confidence(0.1) == wrong.confidence(0.9) == pytest.approx(0.75)


def test_calibrate_falls_back_to_one_half_without_both_kinds_of_videos() -> None:
    assert calibrate([prediction(0.9, 0.9)], np.array([True])).threshold == 0.5


def test_even_odds_score_has_a_confidence_of_one_half_above_the_threshold() -> None:
    calibration = Calibration(threshold=0.2, slope=2.0, offset=-1.0)
    score = calibration.even_odds_score()
    assert score > 0.2
    assert calibration.confidence(score) == pytest.approx(0.5)
    assert Calibration(threshold=0.9, slope=2.0, offset=-1.0).even_odds_score() == 0.9
    assert Calibration(threshold=0.3, slope=0.0).even_odds_score() == 0.3
