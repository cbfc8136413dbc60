"""Seeds of the demo world: no two uses share a scene."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.data.world.seed_ranges import Use, seeds

USES: tuple[Use, ...] = get_args(Use)


def test_seeds_of_different_uses_and_seeds_never_overlap() -> None:
    draws = [seeds(use, 10_000, seed) for use in USES for seed in range(100)]
    for before, after in itertools.pairwise(sorted(draws, key=lambda draw: draw.start)):
        assert before.stop <= after.start


@settings(deadline=None)
@given(st.sampled_from(USES), st.integers(0, 10_000), st.integers(0, 99))
def test_seeds_of_fewer_scenes_are_the_first_ones(use: Use, count: int, seed: int) -> None:
    assert list(seeds(use, count, seed)) == list(seeds(use, 10_000, seed))[:count]


@pytest.mark.parametrize(("count", "seed"), [(10_001, 0), (-1, 0), (1, -1), (1, 100)])
def test_seeds_refuse_what_is_out_of_range(count: int, seed: int) -> None:
    with pytest.raises(ValueError, match=rf"seed {seed} with {count} scenes: use a seed of 0…99"):
        seeds("train", count, seed)
