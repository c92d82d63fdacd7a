"""Delay between the recordings of a pair. Most measures count it as distortion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from imse.evaluate.frames import Float64s
from imse.signal.spectrum import SAMPLE_RATE

LONGEST_DELAY = SAMPLE_RATE


def delay(clean: Float64s, other: Float64s) -> int | None:
    """Samples by which `other` comes after `clean`, negative if before: the peak of their cross-correlation.

    Args:
        clean: [samples] at 16 kHz.
        other: [samples]; searched up to one second either way, its polarity ignored.

    Returns:
        The delay, or None where there is no correlation to measure: silence, or samples that are not numbers.
    """
    energy = (clean @ clean) * (other @ other)
    if not 0 < energy < np.inf:
        return None
    length = 1 << (len(clean) + len(other) - 1).bit_length()
    spectrum = np.fft.rfft(other, length) * np.conj(np.fft.rfft(clean, length))
    correlation = np.abs(np.fft.irfft(spectrum, length))
    reach = min(LONGEST_DELAY, len(clean) - 1)
    lags = np.arange(-reach, reach + 1)
    return int(lags[np.argmax(correlation[lags])])


def remove_delay(clean: Float64s, other: Float64s, samples: int) -> tuple[Float64s, Float64s]:
    """Both signals without what has no counterpart: after a delay is removed, and at the end of the longer one.

    Args:
        clean: [samples] at 16 kHz.
        other: [samples], of any length.
        samples: Samples by which `other` comes after `clean`, negative if before.
    """
    clean, other = clean[max(-samples, 0) :], other[max(samples, 0) :]
    length = min(len(clean), len(other))
    return clean[:length], other[:length]


def describe_delays(delays: Mapping[str, int | None], removed: bool) -> str:
    """One sentence on the delays in samples of files by name, and on whether they were removed before scoring."""
    measured = {name: samples for name, samples in delays.items() if samples is not None}
    late = {name: samples for name, samples in measured.items() if samples}
    if not measured:
        return "the delay could not be measured"
    if not late:
        return f"no delay in any of {len(measured)} files"
    name = max(late, key=lambda name: abs(late[name]))
    milliseconds = 1000 * late[name] / SAMPLE_RATE
    median = np.median(list(measured.values()))
    return (
        f"{len(late)} of {len(measured)} files are delayed (median of all {median:g} samples, "
        f"most {late[name]} samples or {milliseconds:.2f} ms: {name}); "
        + ("the delays were removed" if removed else "most measures take a delay for distortion")
    )
