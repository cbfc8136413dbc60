"""Sensitivity curves (Figure 4): a figure over the values of a setting, with error bars, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exvad.evaluation.ablation_plan import SHARES, Plan, PlannedCurve, cell_name, figure_key
from exvad.evaluation.paper_tables import Estimate, Figures, summarise

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 54, 16, 40, 44


def draw_curves(
    plan: Plan, results: Mapping[str, list[Figures]], protocol: str
) -> Iterator[tuple[PlannedCurve, str]]:
    """Draw every curve of a plan.

    Args:
        plan: what was compared.
        results: cell name → the headline figures of each seed.
        protocol: of the mAP figures.

    Yields:
        The curve and its SVG: one panel per figure.
    """
    for curve in plan.curves:
        panels = []
        for column, figure in enumerate(curve.figures):
            key = figure_key(figure, protocol)
            scale = 100 if key.startswith(SHARES) else 1
            points = [
                summarise(results[cell_name(settings)], key, scale)
                for settings in curve.rows.values()
            ]
            panels.append(_panel(column, figure, curve, points))
        size = f'viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}"'
        style = 'font-family="system-ui, sans-serif" font-size="12" fill="currentColor"'
        title = f"<title>{_escaped(curve.title)}</title>"
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {style}>'
        yield curve, f"{svg}{title}{''.join(panels)}</svg>\n"


def _panel(column: int, figure: str, curve: PlannedCurve, points: Sequence[Estimate | None]) -> str:
    known = [(n, point) for n, point in enumerate(points) if point is not None]
    head = f'<g transform="translate({column * WIDTH} 0)">'
    head += f'<text x="{LEFT}" y="22" font-weight="600">{_escaped(figure)}, %</text>'
    if not known:
        return f'{head}<text x="{LEFT}" y="60">not measured</text></g>'
    low = min(point.mean - (point.deviation or 0) for _, point in known)
    high = max(point.mean + (point.deviation or 0) for _, point in known)
    room = max(high - low, 1.0) * 0.12
    low, high = low - room, high + room

    def x(number: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (number + 0.5) / len(points)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = [head]
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            'stroke="currentColor" stroke-opacity="0.15"/>'
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.1f}</text>'
        )
    for number, value in enumerate(curve.values):
        parts.append(
            f'<text x="{x(number):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value}'
            "</text>"
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{_escaped(curve.setting)}</text>"
    )
    line = " ".join(f"{x(n):.1f},{y(point.mean):.1f}" for n, point in known)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#2f6fde" stroke-width="2"/>')
    for n, point in known:
        spread = point.deviation or 0
        parts.append(
            f'<line x1="{x(n):.1f}" x2="{x(n):.1f}" y1="{y(point.mean - spread):.1f}" '
            f'y2="{y(point.mean + spread):.1f}" stroke="#2f6fde"/>'
            f'<circle cx="{x(n):.1f}" cy="{y(point.mean):.1f}" r="4" fill="#2f6fde">'
            f"<title>{point}</title></circle>"
        )
    return "".join([*parts, "</g>"])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
