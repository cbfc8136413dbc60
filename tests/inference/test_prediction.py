"""Predictions of any length, calibration, and events."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.inference.calibration import Calibration, calibrate
from exvad.inference.events import find_events
from exvad.inference.network import build_network
from exvad.inference.prediction import Prediction, predict
from exvad.modeling import ExVAD
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples

HALF = Calibration(threshold=0.5)
LABELS = torch.from_numpy(directions())


@pytest.fixture(scope="module")
def network() -> ExVAD:
    torch.manual_seed(0)
    return build_network(config("model.max_snippets=16"), WIDTH, len(CLASSES))


def test_the_batch_size_changes_nothing(network: ExVAD) -> None:
    made = examples(9, seed=3)
    one, many = (predict(network, LABELS, made, 0.07, 16, size) for size in (1, 32))
    for a, b, example in zip(one, many, made, strict=True):
        assert len(a.probabilities_TC) == len(example.visual_TD)
        np.testing.assert_allclose(a.probabilities_TC, b.probabilities_TC, atol=1e-5)
        for branch in ("classifier", "alignment"):
            np.testing.assert_allclose(a.scores[branch], b.scores[branch], atol=1e-5)


def test_a_long_video_is_cut_and_joined_in_order(network: ExVAD) -> None:
    whole = examples(1, seed=4, lengths=(40, 40))[0]
    prediction = predict(network, LABELS, [whole], 0.07, 16)[0]
    for start in (0, 16, 32):
        visual_TD = whole.visual_TD[start : start + 16]
        part = type(whole)("part", visual_TD, None, whole.target_C)
        expected = predict(network, LABELS, [part], 0.07, 16)[0].probabilities_TC
        got = prediction.probabilities_TC[start : start + 16]
        np.testing.assert_allclose(got, expected, atol=1e-5)


def prediction(classifier: float, alignment: float) -> Prediction:
    scores = {"classifier": np.full(4, classifier), "alignment": np.full(4, alignment)}
    return Prediction(scores, np.zeros((4, 2), np.float32))  # type: ignore[arg-type]


def test_calibration_takes_the_better_branch_and_the_widest_gap() -> None:
    made = [prediction(0.5, p) for p in (0.1, 0.2, 0.7, 0.9)]
    chosen = calibrate(made, np.array([False, False, True, True]))
    assert chosen.branch == "alignment"
    assert chosen.threshold == pytest.approx(0.45)


def test_calibration_leaves_the_classifier_only_for_a_clear_difference() -> None:
    """Of 40 videos an AUC of 0.95 may be chance beside one of 1."""
    made = [
        prediction((0.9 if n == 39 else 0.2) if n < 20 or n == 39 else 0.8, n / 40)
        for n in range(40)
    ]
    made[0] = prediction(0.85, 0.0)
    abnormal = np.arange(40) >= 20
    assert calibrate(made, abnormal).branch == "classifier"


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_confidence_is_how_often_a_video_of_that_score_is_abnormal(sharpness: float) -> None:
    """Scores that are too bold or too timid by some power are put right."""
    draw = np.random.default_rng(5)
    truth = draw.uniform(0.02, 0.98, 4000)
    abnormal = draw.random(4000) < truth
    said = truth**sharpness / (truth**sharpness + (1 - truth) ** sharpness)
    chosen = calibrate([prediction(score, 0.5) for score in said[:2000]], abnormal[:2000])
    confidence = np.array([chosen.confidence(score) for score in said[2000:]])
    for low in np.arange(0, 1, 0.2):
        inside = (confidence >= low) & (confidence < low + 0.2)
        assert confidence[inside].mean() == pytest.approx(abnormal[2000:][inside].mean(), abs=0.06)


def test_confidence_is_never_certain_and_rises_with_the_score() -> None:
    few = calibrate([prediction(p, 0.5) for p in (0.1, 0.2, 0.8, 0.9)], np.arange(4) > 1)
    levels = [few.confidence(score) for score in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert levels == sorted(levels)
    assert levels[1] < 0.5 < levels[3] < 0.95


def test_scores_that_mislead_give_the_share_of_abnormal_videos() -> None:
    abnormal = np.array([True, True, True, False])
    wrong = calibrate([prediction(p, p) for p in (0.1, 0.2, 0.3, 0.9)], abnormal)
    assert wrong.confidence(0.1) == wrong.confidence(0.9) == pytest.approx(0.75)


def test_one_sided_validation_falls_back_to_the_middle() -> None:
    assert calibrate([prediction(0.9, 0.9)], np.array([True])).threshold == 0.5


def test_events_are_runs_with_times_class_and_captions() -> None:
    scores = np.array([0.1, 0.9, 0.2, 0.8, 0.1, 0.1, 0.7], np.float32)
    probabilities = np.tile(np.array([0.7, 0.1, 0.2], np.float32), (7, 1))
    probabilities[6] = [0.5, 0.4, 0.1]
    times = np.arange(0, 14, 2, dtype=np.float64)
    events = find_events(
        scores, probabilities, times, 13.5, ["Normal", "Arson", "Robbery"], HALF, [0.0, 4.0, 12.0]
    )
    assert [(e.start, e.end, e.label, e.captions) for e in events] == [
        (2.0, 8.0, "Robbery", [2]),
        (12.0, 13.5, "Arson", [3]),
    ]


def test_an_event_reaches_as_far_as_its_class_does() -> None:
    flat = np.full(8, 0.9, np.float32)
    probabilities = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (8, 1))
    probabilities[2:5] = [0.1, 0.2, 0.7]
    probabilities[3] = [0.6, 0.2, 0.2]
    events = find_events(
        flat, probabilities, np.arange(8.0), 8.0, ["Normal", "Arson", "Robbery"], HALF
    )
    assert [(e.start, e.end, e.label) for e in events] == [(2.0, 5.0, "Robbery")]


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 3), min_size=1, max_size=40),
    st.floats(0, 1),
)
def test_events_lie_where_the_score_is_high_and_every_high_run_has_one(
    values: list[tuple[float, float, float]], threshold: float
) -> None:
    scores, arson, robbery = np.array(values, np.float32).T
    probabilities = np.stack([np.ones_like(arson), arson, robbery], 1)
    times = np.arange(len(values), dtype=float)
    calibration = Calibration(threshold=threshold)
    events = find_events(scores, probabilities, times, len(values), ["N", "A", "B"], calibration)
    covered = {t for e in events for t in range(int(e.start), int(e.end))}
    above = {t for t, score in enumerate(scores) if score > threshold}
    bridged = above | {t for t in range(len(values)) if {t - 1, t + 1} <= above}
    assert covered <= bridged
    alone = {t for t in above if not {t - 2, t - 1, t + 1, t + 2} & above}
    assert alone <= covered
    runs = sum(t - 1 not in bridged for t in bridged)
    assert len(events) == runs
    assert all(e.label != "N" and 0 <= e.start < e.end <= len(values) for e in events)
    assert all(a.end < b.start for a, b in itertools.pairwise(events))
