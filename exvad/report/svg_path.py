"""SVG paths of curves in a box of 1000 × 100."""

from __future__ import annotations

from collections.abc import Iterable

BOX_WIDTH, BOX_HEIGHT = 1000, 100


def svg_path(points: Iterable[tuple[float, float]]) -> str:
    """Return the path through points.

    Args:
        points: x as a share of the box's width and y as a share of its height, upward; 0 to 1.
    """
    return "M" + "L".join(f"{BOX_WIDTH * x:.1f} {BOX_HEIGHT * (1 - y):.1f}" for x, y in points)
