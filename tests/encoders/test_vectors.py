"""Unit vectors."""

from __future__ import annotations

import numpy as np

from exvad.encoders.vectors import MIN_LENGTH, unit_vectors


def test_unit_vectors_have_length_one_in_any_number_of_dimensions() -> None:
    np.testing.assert_allclose(unit_vectors(np.array([3.0, 4.0])), [0.6, 0.8])
    vectors = np.random.default_rng(0).normal(size=(2, 3, 4))
    unit = unit_vectors(vectors)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=-1), 1, rtol=1e-6)


def test_unit_vectors_keep_a_zero_vector_with_a_minimum_length() -> None:
    vectors = np.array([[0.0, 0.0], [0.0, 2.0]])
    np.testing.assert_array_equal(unit_vectors(vectors, MIN_LENGTH), [[0, 0], [0, 1]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(unit_vectors(vectors), [[np.nan, np.nan], [0, 1]])
