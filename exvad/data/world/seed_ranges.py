"""Seeds of the demo world: every use has a range of its own, and the ranges never overlap."""

from __future__ import annotations

from typing import Literal

Use = Literal["encoders", "quality", "train", "test"]

_FIRST: dict[Use, int] = {
    "encoders": 1_000_000,
    "quality": 2_000_000,
    "train": 3_000_000,
    "test": 4_000_000,
}
_SIZE = 1_000_000


def seeds(use: Use, count: int, seed: int = 0) -> range:
    """Return the seeds of `count` scenes for one use of the world.

    Args:
        use: training the tiny encoders, measuring their quality, training the detector, or
            testing it.
        count: number of scenes, at most 10,000.
        seed: 0 to 99; different seeds never share a scene.

    Raises:
        ValueError: `count` or `seed` is out of range.
    """
    limit = _SIZE // 100
    if not (0 <= seed < 100 and 0 <= count <= limit):
        raise ValueError(
            f"seed {seed} with {count} scenes: use a seed of 0…99 and at most {limit} scenes"
        )
    first = _FIRST[use] + seed * limit
    return range(first, first + count)
