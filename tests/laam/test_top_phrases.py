"""The k nearest phrases of a label, and its embedding with them (equation 6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exvad.laam.top_phrases import augmented_embedding, nearest_phrases


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 12))
def test_nearest_phrases_equals_brute_force(seed: int, m: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    label_D, phrase_mD = rng.normal(size=6), rng.normal(size=(m, 6))
    k = min(k, m)
    cosines = [
        float(row @ label_D / np.linalg.norm(row) / np.linalg.norm(label_D)) for row in phrase_mD
    ]
    expected = sorted(range(m), key=lambda index: -cosines[index])[:k]
    assert nearest_phrases(label_D, phrase_mD, k).tolist() == expected


def test_nearest_phrases_orders_equally_similar_phrases_by_index() -> None:
    phrase_mD = np.array([[0, 1], [1, 0], [0, 1], [1, 0], [1, 0]])
    assert nearest_phrases(np.array([1, 0]), phrase_mD, 2).tolist() == [1, 3]
    assert nearest_phrases(np.array([1, 0]), phrase_mD, 4).tolist() == [1, 3, 4, 0]
    many_mD = np.tile(phrase_mD, (20, 1))
    nearest = [index for index in range(100) if many_mD[index, 0] == 1]
    assert nearest_phrases(np.array([1, 0]), many_mD, 60).tolist() == nearest


vectors = arrays(np.float32, 5, elements=st.floats(-3, 3, width=32)).filter(
    lambda row: float(np.linalg.norm(row)) > 0.1
)


@settings(deadline=None)
@given(vectors, st.lists(vectors, min_size=4, max_size=8), st.integers(0, 4))
def test_augmented_embedding_is_the_unit_mean_of_label_and_phrases(
    label_D: np.ndarray[Any, Any], phrases: list[np.ndarray[Any, Any]], k: int
) -> None:
    phrase_mD = np.stack(phrases)
    chosen = [label_D, *phrase_mD[nearest_phrases(label_D, phrase_mD, k)]]
    mean_D = np.mean([row / np.linalg.norm(row) for row in chosen], axis=0)
    if np.linalg.norm(mean_D) < 1e-3:  # opposite directions have no mean direction
        return
    result_D = augmented_embedding(label_D, phrase_mD, k)
    assert np.linalg.norm(result_D) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(result_D, mean_D / np.linalg.norm(mean_D), atol=2e-3)
