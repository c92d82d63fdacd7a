"""The scores that worker processes compute, without torch, so that they start quickly and stay small."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np

from imse.evaluate.errors import Unscorable
from imse.evaluate.measures import score
from imse.evaluate.pesq_stoi import pesq
from imse.signal.spectrum import Floats
from imse.train.recipe import Measure

_MEASURES = (*get_args(Measure), "level_db")
METRICS = (*_MEASURES, "balanced")


def quality(clean: Floats, estimate: Floats) -> float:
    """Wide-band PESQ mapped from [1, 4.5] to [0, 1]; nan where it cannot be computed (no speech, say).

    Args:
        clean: Waveform [samples] at 16 kHz, of any level.
        estimate: Waveform [samples], likewise.
    """
    # PESQ aligns levels itself, but takes samples as 16-bit: what is above full scale would be cut off.
    peak = max(float(np.abs(clean).max()), float(np.abs(estimate).max()))
    if peak == 0:
        return math.nan
    try:
        return (pesq(clean.astype(np.float64) / peak, estimate.astype(np.float64) / peak, "wb") - 1) / 3.5
    except Unscorable:
        return math.nan


def metrics(pair: tuple[Floats, Floats]) -> dict[str, float]:
    """`METRICS` of (clean, estimate) waveforms at 16 kHz, without those that cannot be computed."""
    values = score(*pair, _MEASURES).values
    if "pesq_wb" in values and "stoi" in values:
        values["balanced"] = values["pesq_wb"] + 10 * values["stoi"]
    return values
