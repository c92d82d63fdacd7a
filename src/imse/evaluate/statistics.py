"""Means with their uncertainty: percentile bootstrap over files (Efron and Tibshirani, 1993, chapter 13)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 10_000
_SEED = 0
_PERCENTILES = (2.5, 97.5)


class Interval(NamedTuple):
    """A mean and its 95 % interval; no interval for a single value."""

    mean: float
    low: float | None
    high: float | None


def bootstrap(values: Sequence[float]) -> Interval:
    """Mean of at least one value, with the 95 % interval from 10,000 resamples; the same at every call."""
    array = np.asarray(values, np.float64)
    mean = float(array.mean())
    if len(array) == 1:
        return Interval(mean, None, None)
    low, high = np.percentile(_resamples(len(array)) @ array, _PERCENTILES)
    return Interval(mean, float(low), float(high))


@lru_cache(maxsize=2)
def _resamples(count: int) -> NDArray[np.float32]:
    """Share of each of `count` values in each resample, [10000, count]; the same files for every measure."""
    draws = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    return draws.astype(np.float32) / np.float32(count)
