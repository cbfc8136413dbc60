"""Refinement by similar moments, against plain loops and by its properties.

N, M moments · D feature width
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exvad.baselines.common import refinement
from exvad.baselines.common.refinement import interpolate, refine

Seeds = st.integers(0, 10**6)


def random_moments(seed: int, count: int, width: int = 5) -> tuple[NDArray[np.float64], ...]:
    rng = np.random.default_rng(seed)
    return rng.random(count), rng.normal(size=(count, width))


def by_loops(
    scores_M: NDArray[np.float64],
    query_ND: NDArray[np.float64],
    key_MD: NDArray[np.float64],
    count: int,
    scale: float,
) -> list[float]:
    refined = []
    for query_D in query_ND:
        rated = sorted(
            (
                (float(query_D @ key_D / np.linalg.norm(query_D) / np.linalg.norm(key_D)), score)
                for key_D, score in zip(key_MD, scores_M, strict=True)
            ),
            reverse=True,
        )[:count]
        weights = [math.exp(scale * cosine) for cosine, _ in rated]
        sums = sum(weight * score for weight, (_, score) in zip(weights, rated, strict=True))
        refined.append(sums / sum(weights))
    return refined


@settings(deadline=None, max_examples=30)
@given(seed=Seeds, count=st.integers(1, 8), scale=st.sampled_from([0.0, 1.0, 10.0]))
def test_refine_equals_plain_loops(seed: int, count: int, scale: float) -> None:
    scores_M, key_MD = random_moments(seed, 6)
    _, query_ND = random_moments(seed + 1, 4)
    expected = by_loops(scores_M, query_ND, key_MD, count, scale)
    np.testing.assert_allclose(refine(scores_M, query_ND, key_MD, count, scale), expected)


@settings(deadline=None, max_examples=30)
@given(seed=Seeds, size=st.integers(1, 20), count=st.integers(1, 25))
def test_refined_scores_stay_within_the_scores_and_do_not_depend_on_lengths_and_order(
    seed: int, size: int, count: int
) -> None:
    scores_M, key_MD = random_moments(seed, size)
    refined = refine(scores_M, key_MD, key_MD, count)
    assert scores_M.min() <= refined.min() <= refined.max() <= scores_M.max()
    order = np.random.default_rng(seed).permutation(size)
    lengths = np.random.default_rng(seed).uniform(0.1, 9, (size, 1))
    moved = refine(scores_M[order], key_MD, (lengths * key_MD)[order], count)
    np.testing.assert_allclose(moved, refined)


def test_one_similar_moment_is_the_moment_itself() -> None:
    scores_M, key_MD = random_moments(3, 50)
    np.testing.assert_allclose(refine(scores_M, key_MD, key_MD, 1), scores_M)


def test_rows_in_several_groups_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scores_M, key_MD = random_moments(4, 40)
    at_once = refine(scores_M, key_MD, key_MD, 5, 10.0)
    monkeypatch.setattr(refinement, "ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(refine(scores_M, key_MD, key_MD, 5, 10.0), at_once)


def test_features_of_length_zero_count_like_any_other() -> None:
    refined = refine(np.array([0.2, 0.8]), np.zeros((1, 3)), np.zeros((2, 3)), 2)
    np.testing.assert_allclose(refined, [0.5])


def test_interpolate_goes_straight_between_known_values_and_level_beyond() -> None:
    values = interpolate(np.arange(7), np.array([1, 5]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(values, [0, 0, 0.25, 0.5, 0.75, 1, 1])
