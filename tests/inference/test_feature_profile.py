"""A profile tells features apart by length, axis, and variance in bands of directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exvad.inference.feature_profile import MAX_COMPONENTS, FeatureSpace, Moments

T, D = 12, 32


def videos(count: int, width: int = D, seed: int = 0) -> list[NDArray[np.float64]]:
    """Return features around an axis, with less and less variance along the others."""
    rng = np.random.default_rng(seed)
    scale_D = np.geomspace(1, 0.01, width)
    return [rng.normal(size=(T, width)) * scale_D + 10 * np.eye(width)[0] for _ in range(count)]


def space_of(rows: list[NDArray[np.float64]]) -> FeatureSpace:
    return Moments.of(rows).space()


def test_profiles_hold_length_cosine_and_variances_of_about_one() -> None:
    rows = videos(100)
    profiles = np.concatenate([space_of(rows).profiles(visual_TD) for visual_TD in rows])
    lengths = np.linalg.norm(np.concatenate(rows), axis=1)
    assert profiles.shape == (100 * T, 5)
    np.testing.assert_allclose(profiles[:, 0], np.log(lengths))
    assert np.all((profiles[:, 1] > 0.9) & (profiles[:, 1] <= 1))
    np.testing.assert_allclose(np.exp(profiles[:, 2:]).mean(0), 1, atol=0.05)


def test_profiles_of_longer_features_differ_in_length_alone() -> None:
    rows = videos(30)
    space = space_of(rows)
    difference = space.profiles(3 * rows[0]) - space.profiles(rows[0])
    np.testing.assert_allclose(difference, np.tile([np.log(3), 0, 0, 0, 0], (T, 1)), atol=1e-9)


def test_moments_of_the_others_are_those_of_all_without_a_video() -> None:
    rows = videos(30)
    others = (Moments.of(rows) - Moments.of(rows[:6])).space()
    expected = space_of(rows[6:])
    np.testing.assert_allclose(others.mean_D, expected.mean_D, atol=1e-6)
    np.testing.assert_allclose(others.variances_K, expected.variances_K, rtol=1e-4)
    np.testing.assert_allclose(
        others.profiles(rows[0]), expected.profiles(rows[0]), rtol=1e-3, atol=1e-4
    )


def test_space_keeps_few_directions_of_wide_features() -> None:
    space = space_of(videos(10, width=300))
    assert space.basis_KD.shape == (MAX_COMPONENTS, 300)
    np.testing.assert_allclose(space.basis_KD @ space.basis_KD.T, np.eye(MAX_COMPONENTS), atol=1e-5)


def test_profiles_of_zeros_and_of_one_number_are_finite() -> None:
    assert np.isfinite(space_of(videos(30)).profiles(np.zeros((2, D)))).all()
    assert np.isfinite(space_of([np.ones((3, 1))] * 3).profiles(np.ones((2, 1)))).all()
