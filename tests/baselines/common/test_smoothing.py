"""VERA's smoothing: its published shape, its properties, and the quirks that are off.

T snippets · D feature width
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exvad.baselines.common.smoothing import (
    FAITHFUL,
    PostProcessing,
    faithful,
    gaussian_smooth,
    position_weights,
)

Scores = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40).map(np.array)


def gaussian_by_loops(scores_T: NDArray[np.float64], offsets: range, sigma: float) -> list[float]:
    smoothed = []
    for place in range(len(scores_T)):
        weights = {
            place + offset: math.exp(-offset * offset / (2 * sigma * sigma))
            for offset in offsets
            if 0 <= place + offset < len(scores_T)
        }
        total = sum(weight * scores_T[index] for index, weight in weights.items())
        smoothed.append(total / sum(weights.values()))
    return smoothed


@settings(deadline=None, max_examples=40)
@given(scores_T=Scores, width=st.integers(1, 15), sigma=st.sampled_from([0.5, 3.0, 10.0]))
def test_gaussian_smooth_equals_plain_loops(
    scores_T: NDArray[np.float64], width: int, sigma: float
) -> None:
    expected = gaussian_by_loops(scores_T, range(-(width // 2), width - width // 2), sigma)
    np.testing.assert_allclose(gaussian_smooth(scores_T, width, sigma), expected, atol=1e-12)


def test_gaussian_of_the_public_code_reaches_eight_back_and_seven_ahead() -> None:
    scores_T = np.random.default_rng(0).random(30)
    expected = gaussian_by_loops(scores_T, range(-8, 8), 10.0)
    np.testing.assert_allclose(gaussian_smooth(scores_T, 15, 10.0, off_centre=True), expected)


@settings(deadline=None, max_examples=40)
@given(scores_T=Scores)
def test_post_processing_keeps_the_range_and_constants(scores_T: NDArray[np.float64]) -> None:
    visual_TD = np.random.default_rng(len(scores_T)).normal(size=(len(scores_T), 4))
    after_T = PostProcessing().apply(scores_T, visual_TD)
    assert after_T.dtype == np.float32
    assert after_T.min() >= np.float32(scores_T.min())
    assert after_T.max() <= np.float32(scores_T.max())
    constant_T = PostProcessing().apply(np.full(len(scores_T), 0.3), visual_TD)
    np.testing.assert_allclose(constant_T, 0.3, rtol=1e-6)


def test_time_reversed_scores_are_smoothed_alike() -> None:
    rng = np.random.default_rng(1)
    scores_T, visual_TD = rng.random(50), rng.normal(size=(50, 4))
    forward_T = PostProcessing().apply(scores_T, visual_TD)
    backward_T = PostProcessing().apply(scores_T[::-1], visual_TD[::-1])
    np.testing.assert_allclose(backward_T[::-1], forward_T, rtol=1e-5)


def test_a_verdict_spreads_to_moments_that_look_alike() -> None:
    look_TD = np.eye(4)[[0, 1, 0, 2, 3, 1, 2]]
    scores_T = np.array([1.0, 0, 0, 0, 0, 0, 0])
    after_T = PostProcessing(share=0.3, width=0).apply(scores_T, look_TD)
    assert after_T.argmax() in (0, 2)
    np.testing.assert_allclose(after_T, [0.5, 0, 0.5, 0, 0, 0, 0], atol=1e-6)


def test_few_moments_stay_alone_unless_all_are_asked_for() -> None:
    visual_TD, scores_T = np.eye(5), np.array([1.0, 0, 0, 0, 0])
    alone_T = PostProcessing(width=0).apply(scores_T, visual_TD)
    np.testing.assert_allclose(alone_T, scores_T)
    all_T = PostProcessing(width=0, all_of_few=True).apply(scores_T, visual_TD)
    assert (all_T > 0).all()


def test_position_weight_falls_to_the_ends_and_is_off_by_default() -> None:
    weights_T = position_weights(1001)
    assert weights_T.argmax() == 500
    assert weights_T[0] == pytest.approx(math.exp(-0.5), abs=2e-3)
    assert not PostProcessing().position
    assert FAITHFUL.position


def test_faithful_scores_have_one_decimal_before_the_position_counts() -> None:
    rng = np.random.default_rng(2)
    scores_T = FAITHFUL.apply(rng.random(60), rng.normal(size=(60, 4)))
    tenths_T = scores_T / position_weights(60) * 10
    np.testing.assert_allclose(tenths_T, tenths_T.round(), atol=1e-5)


def test_scores_of_xd_violence_are_squashed_and_have_no_weight_by_position() -> None:
    assert faithful("ucf_crime") == FAITHFUL
    after = faithful("xd_violence")
    assert not after.position
    rng = np.random.default_rng(2)
    scores_T = after.apply(rng.random(60), rng.normal(size=(60, 4)))
    np.testing.assert_allclose(scores_T, scores_T.round(1), atol=1e-6)
    assert scores_T.min() >= 0.5
    plain_T = PostProcessing(share=0, width=0, squash=True).apply(np.array([0, 0.5, 1]), np.eye(3))
    np.testing.assert_allclose(plain_T, 1 / (1 + np.exp([0, -0.5, -1])))


def test_post_processing_refuses_numbers_that_are_no_smoothing() -> None:
    with pytest.raises(ValueError, match=r"share 1\.5"):
        PostProcessing(share=1.5)
