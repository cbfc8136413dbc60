"""Boxes, groups and arrows as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

LINE_HEIGHT = 15
HEAD = (
    '<defs><marker id="{id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" class="tip"/></marker></defs>'
)


class Box(NamedTuple):
    """A rectangle on a drawing.

    Args:
        x: left edge, in the drawing's units.
        y: upper edge.
        width: its width.
        height: its height.
    """

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        """Middle of the left edge."""
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        """Middle of the right edge."""
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> tuple[float, float]:
        """Middle of the upper edge."""
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        """Middle of the lower edge."""
        return self.x + self.width / 2, self.y + self.height


class Drawing:
    """A drawing that becomes one `<svg>` element.

    Args:
        name: unique on its page.
        title: what it shows, for readers who can't see it.
        width: in units of about one CSS pixel.
        height: likewise.
    """

    def __init__(self, name: str, title: str, width: float, height: float) -> None:
        self._tip = f"{name}-tip"
        self._parts = [
            f'<svg class="drawing" viewBox="0 0 {width:g} {height:g}" role="img" '
            f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">',
            f"<title>{escape(title)}</title>",
            HEAD.format(id=self._tip),
        ]

    def group(self, box: Box, title: str) -> None:
        """Draw a frame with a title around what belongs together."""
        self._rect(box, "group", 10)
        self._text((box.x + 12, box.y + 20), title, "heading", "start")

    def box(self, box: Box, title: str, *lines: str, kind: str = "room") -> Box:
        """Draw a box with a title and further lines in it.

        Args:
            box: where.
            title: the first line.
            lines: the others: paths of files, in a font of fixed width.
            kind: class of the rectangle: `room`, `data` or `model`.
        """
        self._rect(box, kind, 6)
        x, middle = box.x + box.width / 2, box.y + box.height / 2
        y = middle - LINE_HEIGHT * len(lines) / 2 + 4
        self._text((x, y), title, "title", "middle")
        for number, line in enumerate(lines, 1):
            self._text((x, y + number * LINE_HEIGHT), line, "path", "middle")
        return box

    def arrow(self, *points: tuple[float, float], label: str = "") -> None:
        """Draw an arrow through points; its label stands beside the middle of its first part."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(
            f'<polyline points="{path}" class="arrow" marker-end="url(#{self._tip})"/>'
        )
        if label:
            (x1, y1), (x2, y2) = points[:2]
            anchor, dx, dy = ("start", 6, 4) if x1 == x2 else ("middle", 0, -6)
            self._text(((x1 + x2) / 2 + dx, (y1 + y2) / 2 + dy), label, "label", anchor)

    def text(self, point: tuple[float, float], text: str, anchor: str = "start") -> None:
        """Write a label."""
        self._text(point, text, "label", anchor)

    def svg(self) -> str:
        """Return the element, on one line: Markdown takes it as one block."""
        return "".join([*self._parts, "</svg>"])

    def _rect(self, box: Box, kind: str, radius: float) -> None:
        self._parts.append(
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" '
            f'rx="{radius:g}" class="{kind}"/>'
        )

    def _text(self, point: tuple[float, float], text: str, kind: str, anchor: str) -> None:
        self._parts.append(
            f'<text x="{point[0]:g}" y="{point[1]:g}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )
