"""The level at which the network is given a segment: one that follows the signal.

The network's norms and its attention span a whole segment. A factor common to all of it therefore changes next to
nothing, but a loud part decides how a quiet part of the same segment is treated, and a burst how all the rest is. So
the input is levelled: parts whose level is far from the segment's are brought near it by a gain over time, and what the
network made of them is divided by the same gain. The choices are measured: see docs/enhancer.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imse.signal.spectrum import SAMPLE_RATE, Floats

_FRAME = SAMPLE_RATE // 50
_SILENCE = 1e-60  # power: what is 600 dB below full scale is silence, as its gain would overflow


@dataclass(frozen=True)
class Levelling:
    """A gain over time that brings the level of a segment to within a range.

    The level at a frame of 20 ms is a quantile of the power in the frames up to it, or in those from it on, whichever
    is lower: it follows a step at once, and passes over pauses that are shorter than a window. A frame that exceeds
    this level by more than the range, as a burst does, counts with its own power less the range. Parts within the range
    of the segment's level are left as they are, others are brought to its border.

    The gain depends on the segment alone, so it needs no pass over the whole recording.

    Attributes:
        range_db: How far from the level of the segment the level may be.
        window: Frames on either side that count; half of them in a segment that is shorter than two windows.
        quantile: Of the powers in a window: a burst is shorter than what is left out.
        deepest_db: What is further below the level of the segment counts as this.
    """

    range_db: float = 10.0
    window: int = 16
    quantile: float = 0.9
    deepest_db: float = 50.0

    def gain(self, segments: Floats) -> Floats:
        """The gain that levels segments, and brings each to unit RMS.

        Args:
            segments: [B, samples] at 16 kHz without direct current, at least a frame of 20 ms long.

        Returns:
            Gain at every sample, above 0, [B, samples]; 1 where a segment is silent.
        """
        powers = _frame_powers(segments)
        # The mean where all but a few frames are silent.
        reference = np.maximum(_quantile(powers, self.quantile), 1e-6 * powers.mean(1))[:, np.newaxis]
        silent = reference < _SILENCE
        floor = 10 ** (-self.deepest_db / 10)
        powers_db = 10 * np.log10(np.maximum(powers / np.where(silent, 1, reference), floor))
        window = min(self.window, (powers_db.shape[1] + 1) // 2)
        windows = np.lib.stride_tricks.sliding_window_view(powers_db, window, axis=1)
        quantiles = _quantile(windows, self.quantile)
        missing = window - 1  # the frames at an end have a window on one side only
        before = np.pad(quantiles, [(0, 0), (missing, 0)], constant_values=np.inf)
        after = np.pad(quantiles, [(0, 0), (0, missing)], constant_values=np.inf)
        level_db = np.maximum(np.minimum(before, after), powers_db - self.range_db)
        gain_db = np.clip(level_db, -self.range_db, self.range_db) - level_db

        centres = (np.arange(powers.shape[1]) + 0.5) * _FRAME
        at = np.arange(segments.shape[1]) + 0.5
        gain = 10 ** (np.stack([np.interp(at, centres, row) for row in gain_db]) / 20)
        rms = np.sqrt(np.square(segments * gain).mean(1, keepdims=True))
        return np.where(silent, 1, gain / np.where(silent, 1, rms)).astype(np.float32)


def _quantile(values: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """`np.quantile` along the last axis, which imports numpy.ma: 8 ms of every start."""
    position = share * (values.shape[-1] - 1)
    below = int(position)
    above = min(below + 1, values.shape[-1] - 1)
    ordered = np.partition(values, (below, above), axis=-1)
    quantiles: NDArray[np.float64] = ordered[..., below] + (position - below) * (
        ordered[..., above] - ordered[..., below]
    )
    return quantiles


def _frame_powers(segments: Floats) -> NDArray[np.float64]:
    """The variance in each whole frame of segments [B, samples]: [B, frames]."""
    frames = segments.shape[1] // _FRAME
    framed = segments[:, : frames * _FRAME].reshape(len(segments), frames, _FRAME)
    powers: NDArray[np.float64] = framed.var(-1, dtype=np.float64)
    return powers
