"""Plots as inline SVG: box plots of one measure over systems, and gain over input SNR. Colours come from the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from statistics import fmean

import numpy as np

from imse.evaluate.frames import Float64s
from imse.evaluate.report.axes import Axis, axis

_BOX_WIDTH, _BOX_HEIGHT = 280, 190
_SCATTER_WIDTH, _SCATTER_HEIGHT = 860, 320
# A point further from its box than this many heights of the box is drawn alone (Tukey).
_WHISKER = 1.5
# Share of the axis over which points of the same input SNR are spread, to be told apart.
_SPREAD = 0.03


@dataclass(frozen=True)
class Point:
    """One file of a scatter plot, with what to say when it is pointed at."""

    x: float
    y: float
    text: str


def box_plot(title: str, groups: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Box plot of one measure.

    Args:
        title: For those who cannot see it.
        groups: Name of the colour's class and values of each box, from left to right; empty ones leave a gap.
    """
    everything = [value for _, values in groups for value in values]
    if not everything:
        return ""
    y = axis(everything, _BOX_HEIGHT - 8, 8)
    parts = [_horizontal_grid(y, 44, _BOX_WIDTH - 6)]
    slot = (_BOX_WIDTH - 50) / len(groups)
    for position, (colour, values) in enumerate(groups):
        if values:
            parts.append(_box(y, 44 + slot * (position + 0.5), min(46, slot * 0.6), colour, np.asarray(values)))
    return _svg(title, _BOX_WIDTH, _BOX_HEIGHT, parts)


def scatter(title: str, x_label: str, groups: Sequence[tuple[str, Sequence[Point]]]) -> str:
    """Scatter plot with the mean at each x, or around it where every x is another.

    Args:
        title: For those who cannot see it.
        x_label: Under the horizontal axis.
        groups: Name of the colour's class and points of each group.
    """
    points = [point for _, group in groups for point in group]
    if not points:
        return ""
    distinct = len({point.x for point in points})
    x = axis((point.x for point in points), 70, _SCATTER_WIDTH - 24, 8)
    y = axis([0, *(point.y for point in points)], _SCATTER_HEIGHT - 46, 10)
    parts = [_horizontal_grid(y, 52, _SCATTER_WIDTH - 6), _x_labels(x, x_label)]
    spread = _SPREAD * (_SCATTER_WIDTH - 94) if distinct * 3 < len(points) else 0
    for colour, group in groups:
        parts += [_dot(x, y, point, colour, spread * (k % 9 - 4) / 4) for k, point in enumerate(group)]
        means = _means(group, x.step / 2 if not spread else 0)
        line = " ".join(f"{x(at):.1f},{y(mean):.1f}" for at, mean in means)
        parts.append(f'<polyline class="mean {colour}" points="{line}"/>')
    return _svg(title, _SCATTER_WIDTH, _SCATTER_HEIGHT, parts)


def _means(points: Sequence[Point], width: float) -> list[tuple[float, float]]:
    """Mean x and y of the points of each x, or of each `width` of it."""

    def where(point: Point) -> float:
        return point.x // width if width else point.x

    groups = (list(group) for _, group in groupby(sorted(points, key=where), where))
    return [(fmean(p.x for p in group), fmean(p.y for p in group)) for group in groups]


def _dot(x: Axis, y: Axis, point: Point, colour: str, shift: float) -> str:
    at = f'cx="{x(point.x) + shift:.1f}" cy="{y(point.y):.1f}"'
    return f'<circle class="dot {colour}" {at} r="3.5"><title>{escape(point.text)}</title></circle>'


def _box(y: Axis, middle: float, width: float, colour: str, values: Float64s) -> str:
    first, median, third = (float(quartile) for quartile in np.percentile(values, [25, 50, 75]))
    reach = _WHISKER * (third - first)
    within = values[(values >= first - reach) & (values <= third + reach)]
    beyond = values[(values < first - reach) | (values > third + reach)]
    left, right = middle - width / 2, middle + width / 2
    top, height = y(third), max(1, y(first) - y(third))
    outliers = "".join(f'<circle cx="{middle:.1f}" cy="{y(float(value)):.1f}" r="2"/>' for value in beyond)
    return (
        f'<g class="box {colour}">'
        f'<path class="whisker" d="M{middle:.1f} {y(float(within.max())):.1f}V{y(float(within.min())):.1f}"/>'
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3"/>'
        f'<path class="median" d="M{left:.1f} {y(median):.1f}H{right:.1f}"/>{outliers}</g>'
    )


def _horizontal_grid(y: Axis, left: float, right: float) -> str:
    return "".join(
        f'<path class="{"zero" if abs(tick) < y.step / 2 else "grid"}" d="M{left:.0f} {y(tick):.1f}H{right:.0f}"/>'
        f'<text x="{left - 7:.0f}" y="{y(tick) + 4:.1f}" text-anchor="end">{y.label(tick)}</text>'
        for tick in y.ticks
    )


def _x_labels(x: Axis, label: str) -> str:
    ticks = "".join(
        f'<text x="{x(tick):.1f}" y="{_SCATTER_HEIGHT - 26}" text-anchor="middle">{x.label(tick)}</text>'
        for tick in x.ticks
    )
    middle = (x.start + x.end) / 2
    return f'{ticks}<text x="{middle:.0f}" y="{_SCATTER_HEIGHT - 6}" text-anchor="middle">{escape(label)}</text>'


def _svg(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
