"""Seeds of the demo world: its uses draw from ranges that never overlap."""

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
    """Return `count` scene seeds for one use of the world.

    Args:
        use: what the scenes are for: training the tiny encoders, measuring those, training the
            detector, or testing it.
        count: how many.
        seed: which of the use's draws, 0 to 99; different draws never share a scene.

    Raises:
        ValueError: the draw does not fit into the use's range.
    """
    share = _SIZE // 100
    if not (0 <= seed < 100 and 0 <= count <= share):
        raise ValueError(
            f"seed {seed} with {count} scenes: take a seed of 0…99 and ≤ {share} scenes"
        )
    first = _FIRST[use] + seed * share
    return range(first, first + count)
