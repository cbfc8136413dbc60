"""The sweep's page: the Pareto front, what matters, how settings act; one file of HTML and SVG."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.tuning.search import Record, best_first, pareto_front
from exvad.tuning.space import Choice, Dimension, IntRange

if TYPE_CHECKING:
    from exvad.tuning.confirm import Confirmed

WIDTH, HEIGHT, EDGE = 560, 300, 48
BINS, MOST_VALUES = 5, 9
# Figure, its name, how it is drawn, and how far beside the middle.
SENSITIVITY = (("best_val_auc", "AUC", "auc", -6), ("best_val_map", "mAP", "map", 6))

STYLE = """
:root { color-scheme: light dark; --ground: #f6f4ef; --card: #fff; --ink: #1c2430; --soft: #596273;
  --line: #dcd8ce; --accent: #1f5fa8; --best: #c4451c; }
@media (prefers-color-scheme: dark) { :root { --ground: #12161c; --card: #1b2129; --ink: #e8eaee;
  --soft: #a3acba; --line: #323b47; --accent: #7db4f5; --best: #ff9c6b; } }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: .4rem 1.2rem 1.2rem; margin: 1rem 0; overflow-x: auto; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; }
p.lead { color: var(--soft); margin: .3rem 0 0; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1rem; }
.dot { fill: var(--accent); fill-opacity: .55; } .best { fill: var(--best); fill-opacity: 1; }
.line { fill: none; stroke: var(--accent); stroke-opacity: .35; }
.line.top { stroke: var(--best); stroke-opacity: .95; stroke-width: 2; }
.axis { stroke: var(--line); } .bar { fill: var(--accent); } .spread { stroke: var(--accent); }
.dot.auc, .dot.map { fill-opacity: 1; } .dot.map { fill: var(--best); }
.spread.map { stroke: var(--best); }
.key::before { content: "●"; color: var(--accent); margin-right: .3em; }
.key.map::before { color: var(--best); } .key { margin-right: .6em; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem .9rem .2rem 0; }
td.n { font-variant-numeric: tabular-nums; } code, pre { font-size: .9rem; }
pre { background: var(--ground); padding: .8rem; border-radius: 8px; overflow-x: auto; }
"""


def render(
    records: Sequence[Record],
    confirmed: Sequence[Confirmed],
    space: dict[str, Dimension],
    commands: Sequence[str],
    importances: dict[str, float],
    note: str,
) -> str:
    """Render the sweep as one self-contained page.

    Args:
        records: the trials.
        confirmed: the settings that were confirmed, the winner first.
        space: what was searched.
        commands: how to train and serve the winner.
        importances: setting → share of the differences it explains.
        note: how the winner compares with the setting one starts from.
    """
    done = best_first(records)
    failed = [record for record in records if record.error is not None]
    pruned = sum(record.pruned for record in records)
    parts = [
        f"<h1>Sweep of {len(records)} trials</h1><p class=lead>{len(done)} usable, {pruned} "
        f"stopped early, {len(failed)} failed. Figures are of the validation videos.</p>",
        _section("The winner", _winner(confirmed, commands, note)),
        _section("AUC against mAP", _pareto(records)),
        _section("What matters", _importance(importances)),
        _section("All settings side by side", _parallel(done, space)),
        _section("How each setting acts", _sensitivity(done, space)),
    ]
    if failed:
        rows = "".join(
            f"<tr><td>{_text(record.parameters)}</td><td>{_text(record.error)}</td></tr>"
            for record in failed
        )
        parts.append(_section("Failed trials", f"<table>{rows}</table>"))
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>exvad sweep</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
    )
    return f"{head}<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _text(value: object) -> str:
    return html.escape(str(value))


def _winner(confirmed: Sequence[Confirmed], commands: Sequence[str], note: str) -> str:
    if not confirmed:
        return f"<p>{_text(note)}</p>"
    rows = "".join(
        f"<tr><td class=n>{each.mean:.4f} ± {each.deviation:.4f}</td>"
        f"<td><code>{_text(_short(each.parameters))}</code></td></tr>"
        for each in confirmed
    )
    seeds = len(confirmed[0].scores)
    table = (
        f"<table><tr><th>mean of AUC and mAP, {seeds} seed{'s' if seeds > 1 else ''}</th>"
        f"<th>setting</th></tr>{rows}</table>"
    )
    lines = "\n".join(_text(command) for command in commands)
    return f"{table}<p>{_text(note)}</p><pre>{lines}</pre>"


def _short(parameters: dict[str, Any]) -> str:
    return " ".join(
        f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in parameters.items()
    )


def _scale(values: Sequence[float], low_pixel: float, high_pixel: float) -> tuple[Any, list[float]]:
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5

    def place(value: float) -> float:
        return low_pixel + (high_pixel - low_pixel) * (value - low) / (high - low)

    return place, [low + (high - low) * n / 4 for n in range(5)]


def _pareto(records: Sequence[Record]) -> str:
    done = best_first(records)
    if not done:
        return "<p>No trial ended well.</p>"
    front = pareto_front(records)
    aucs = [record.figures["best_val_auc"] for record in done]
    maps = [record.figures["best_val_map"] for record in done]
    x, x_ticks = _scale(aucs, EDGE + 10, WIDTH - 20)
    y, y_ticks = _scale(maps, HEIGHT - EDGE, 20)
    marks = [_ticks_x(x, x_ticks), _ticks_y(y, y_ticks)]
    for record in done:
        kind = "dot best" if record in front else "dot"
        auc, precision = record.figures["best_val_auc"], record.figures["best_val_map"]
        marks.append(
            f'<circle class="{kind}" cx="{x(auc):.1f}" cy="{y(precision):.1f}" r="5"><title>'
            f"AUC {auc:.3f}, mAP {precision:.3f}: {_text(_short(record.parameters))}"
            "</title></circle>"
        )
    marks.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}">video AUC</text>')
    marks.append('<text x="4" y="14">video mAP</text>')
    label = f"{len(front)} of {len(done)} trials on the Pareto front"
    return f"<p>{label}: no other is better in one figure without being worse in the other.</p>" + (
        _svg(label, marks)
    )


def _svg(label: str, marks: Sequence[str], width: int = WIDTH, height: int = HEIGHT) -> str:
    inside = "".join(marks)
    return (
        f'<svg role="img" aria-label="{_text(label)}" viewBox="0 0 {width} {height}" '
        f'width="{width}">{inside}</svg>'
    )


def _ticks_x(place: Any, ticks: Sequence[float]) -> str:
    return "".join(
        f'<text x="{place(tick):.1f}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">{tick:.3g}'
        "</text>"
        for tick in ticks
    )


def _ticks_y(place: Any, ticks: Sequence[float]) -> str:
    return "".join(
        f'<line class="axis" x1="{EDGE}" x2="{WIDTH}" y1="{place(tick):.1f}" '
        f'y2="{place(tick):.1f}"/><text x="{EDGE - 6}" y="{place(tick) + 4:.1f}" '
        f'text-anchor="end">{tick:.3g}</text>'
        for tick in ticks
    )


def _importance(importances: dict[str, float]) -> str:
    if not importances:
        return "<p>Too few trials to tell.</p>"
    marks = []
    for row, (name, share) in enumerate(sorted(importances.items(), key=lambda each: -each[1])):
        top = 6 + 24 * row
        marks.append(
            f'<text x="170" y="{top + 14}" text-anchor="end">{_text(name)}</text>'
            f'<rect class="bar" x="180" y="{top}" width="{320 * share:.1f}" height="18" rx="3"/>'
            f'<text x="{186 + 320 * share:.1f}" y="{top + 14}">{share:.0%}</text>'
        )
    return _svg("Importance of each setting", marks, WIDTH, 12 + 24 * len(importances))


def _unit(value: Any, dimension: Dimension) -> float:
    """Return where a value lies in its dimension, 0 to 1."""
    if isinstance(dimension, Choice):
        return dimension.values.index(value) / max(1, len(dimension.values) - 1)
    low, high, at = dimension.low, dimension.high, float(value)
    if dimension.log:
        low, high, at = np.log(low), np.log(high), np.log(at)
    return float((at - low) / (high - low))


def _parallel(done: Sequence[Record], space: dict[str, Dimension]) -> str:
    if not done:
        return ""
    width, bottom = 130 * (len(space) + 1), HEIGHT - 60
    names = [*space, "score"]
    scores = [record.score for record in done]
    place, _ = _scale(scores, 0, 1)
    marks = []
    for column, name in enumerate(names):
        x = 60 + 130 * column
        low, high = _ends(space[name]) if name in space else (min(scores), max(scores))
        marks.append(
            f'<line class="axis" x1="{x}" x2="{x}" y1="20" y2="{bottom}"/>'
            f'<text x="{x}" y="{bottom + 40}" text-anchor="middle">{_text(name)}</text>'
            f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{_end(low)}</text>'
            f'<text x="{x}" y="14" text-anchor="middle">{_end(high)}</text>'
        )
    for rank, record in reversed(list(enumerate(done))):
        heights = [_unit(record.parameters[name], space[name]) for name in space]
        heights.append(place(record.score))
        points = " ".join(
            f"{60 + 130 * column},{bottom - (bottom - 20) * height:.1f}"
            for column, height in enumerate(heights)
        )
        kind = "line top" if rank < 3 else "line"
        title = f"<title>{record.score:.4f}: {_text(_short(record.parameters))}</title>"
        marks.append(f'<polyline class="{kind}" points="{points}">{title}</polyline>')
    label = "Parallel coordinates; the three best trials stand out"
    return _svg(label, marks, width, HEIGHT)


def _ends(dimension: Dimension) -> tuple[Any, Any]:
    if isinstance(dimension, Choice):
        return dimension.values[0], dimension.values[-1]
    return dimension.low, dimension.high


def _end(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else _text(value)


def _sensitivity(done: Sequence[Record], space: dict[str, Dimension]) -> str:
    legend = "".join(
        f'<span class="key {kind}">{title}</span> ' for _, title, kind, _ in SENSITIVITY
    )
    panels = [_panel(name, _groups(name, dimension, done)) for name, dimension in space.items()]
    return (
        f"<p>{legend}on validation: mean and standard deviation over trials.</p>"
        f'<div class="grid">{"".join(panels)}</div>'
    )


def _groups(name: str, dimension: Dimension, done: Sequence[Record]) -> dict[str, list[Record]]:
    """Sort trials by the value of a setting; values of a range that are many are taken together."""
    groups: dict[str, list[Record]] = {}
    if isinstance(dimension, Choice):
        for value in dimension.values:
            groups[str(value)] = [r for r in done if r.parameters[name] == value]
    elif isinstance(dimension, IntRange) and dimension.high - dimension.low < MOST_VALUES:
        for value in range(int(dimension.low), int(dimension.high) + 1):
            groups[str(value)] = [r for r in done if r.parameters[name] == value]
    else:
        ranked = sorted(done, key=lambda record: float(record.parameters[name]))
        for part in np.array_split(np.arange(len(ranked)), min(BINS, max(1, len(ranked)))):
            own = [ranked[index] for index in part]
            if own:
                middle = float(np.median([float(r.parameters[name]) for r in own]))
                groups[f"{middle:.3g}"] = own
    return {label: own for label, own in groups.items() if own}


def _panel(name: str, groups: dict[str, list[Record]]) -> str:
    """Draw mean and deviation of AUC and mAP for each value of a setting (Figure 4)."""
    if not groups:
        return ""
    marks = [f'<text x="{EDGE}" y="14">{_text(name)}</text>']
    found = {
        (label, figure): _mean_and_deviation([record.figures[figure] for record in own])
        for label, own in groups.items()
        for figure, *_ in SENSITIVITY
    }
    edges = [mean + sign * spread for mean, spread in found.values() for sign in (-1, 1)]
    y, ticks = _scale(edges, HEIGHT - EDGE, 28)
    marks.append(_ticks_y(y, ticks))
    step = (WIDTH - EDGE - 20) / len(groups)
    for column, (label, own) in enumerate(groups.items()):
        middle = EDGE + step * (column + 0.5)
        for figure, title, kind, shift in SENSITIVITY:
            mean, spread = found[label, figure]
            x = middle + shift
            marks.append(
                f'<line class="spread {kind}" x1="{x:.1f}" x2="{x:.1f}" '
                f'y1="{y(mean - spread):.1f}" y2="{y(mean + spread):.1f}"/>'
                f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y(mean):.1f}" r="5">'
                f"<title>{title} {mean:.4f} ± {spread:.4f}, {len(own)} trials</title></circle>"
            )
        marks.append(
            f'<text x="{middle:.1f}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">'
            f"{_text(label)}</text>"
        )
    return _svg(f"How {name} acts on AUC and mAP", marks)


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
