"""Axes of a plot: from values to pixels, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Axis:
    """Values `low` to `high` drawn from pixel `start` to pixel `end`, with ticks every `step`."""

    low: float
    high: float
    step: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Values of the ticks, from low to high."""
        first, last = round(self.low / self.step), round(self.high / self.step)
        return [count * self.step for count in range(first, last + 1)]

    def label(self, value: float) -> str:
        """A tick's value with no more decimals than tell it from the next."""
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        if not math.isclose(round(self.step, decimals), self.step):
            decimals += 1
        return f"{value:.{decimals}f}".replace("-", "−")  # noqa: RUF001 - the minus sign of typography


def axis(values: Iterable[float], start: float, end: float, ticks: int = 5) -> Axis:
    """An axis that holds all values, at least one, and begins and ends at a tick."""
    values = list(values)
    low, high = min(values), max(values)
    if math.isclose(low, high, rel_tol=1e-6, abs_tol=1e-6):
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / ticks
    power = 10 ** math.floor(math.log10(rough))
    step = power * next(step for step in _STEPS if step * power >= rough * (1 - 1e-9))
    return Axis(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step, start, end)
