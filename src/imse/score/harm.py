"""What enhancement did to a recording, and warnings where it seems to have harmed it.

The thresholds were chosen on mixtures of the training corpora, see docs/score.md. Every warning is a reason to
listen, not a verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imse.evaluate.delays import delay
from imse.score.frames import FRAMES_PER_SECOND
from imse.score.noise import smoothed, to_db
from imse.score.recording import Quality, Recording
from imse.signal.spectrum import SAMPLE_RATE

# Speech is certain where a frame is voiced, and a band is this far above its noise, in frames this far above the noise:
# without the condition that it is voiced, half of the bursts of noise would count as speech.
_LEAST_VOICING = 0.8
_BAND_ABOVE_NOISE_DB, _FRAME_ABOVE_NOISE_DB = 15, 6
_SMOOTHING = 3  # frames: speech that comes or goes between two frames is none that was lost
# Bands further below the loudest one than this are not heard.
_RANGE_DB = 60
_LOST_DB = 10
_LEAST_UNITS = 50
# Loudness grows with the power to about this.
_LOUDNESS_EXPONENT = 0.3

MOST_SPEECH_LOST = 0.1
MOST_SIG_FALL, MOST_OVRL_FALL = 0.3, 0.1
MOST_LEVEL_CHANGE_DB = 6.0
MOST_BANDWIDTH_LOST = 0.2


@dataclass(frozen=True)
class Change:
    """What lies between two versions of a recording.

    Attributes:
        speech_lost: Share of the voiced speech that lost more than 10 dB more than the rest of it, 0 to 1: of the bands
            and frames in which it was far above the noise before, weighted by loudness. None where too little was.
        speech_level_db: Median change of level of this speech.
        delay_samples: Samples at 16 kHz by which the second comes after the first; None where it cannot be measured.
    """

    speech_lost: float | None
    speech_level_db: float | None
    delay_samples: int | None


def compare(before: Recording, after: Recording) -> Change:
    """Compare two versions of a recording."""
    samples = delay(before.head.astype(np.float64), after.head.astype(np.float64))
    if before.noise is None:
        return Change(None, None, samples)
    frames = round((samples or 0) * FRAMES_PER_SECOND / SAMPLE_RATE)
    noise = before.frames.bands[before.noise.pauses].mean(axis=0, dtype=np.float64)
    first = before.frames.bands[max(-frames, 0) :].astype(np.float64)
    second = after.frames.bands[max(frames, 0) :].astype(np.float64)
    count = min(len(first), len(second))
    if not count:
        return Change(None, None, samples)
    first, second = first[:count], second[:count]
    power, power_after = smoothed(first, _SMOOTHING), smoothed(second, _SMOOTHING)
    is_speech = power > noise * _ratio(_BAND_ABOVE_NOISE_DB)
    is_loud = smoothed(first.sum(axis=1)) > noise.sum() * _ratio(_FRAME_ABOVE_NOISE_DB)
    is_voiced = before.frames.voicing[max(-frames, 0) :][:count] > _LEAST_VOICING
    is_speech &= (is_loud & is_voiced)[:, None]
    is_speech &= power > power.max() * _ratio(-_RANGE_DB)
    if np.count_nonzero(is_speech) < _LEAST_UNITS:
        return Change(None, None, samples)
    change_db = to_db(power_after[is_speech]) - to_db(power[is_speech])
    level_db = float(np.median(change_db))
    loudness = power[is_speech] ** _LOUDNESS_EXPONENT
    lost = float(loudness[change_db < level_db - _LOST_DB].sum() / loudness.sum())
    return Change(lost, level_db, samples)


def warnings(before: Quality, after: Quality, change: Change) -> tuple[str, ...]:
    """Sentences on what seems to be worse after than before."""
    return tuple(_warnings(before, after, change))


def _warnings(before: Quality, after: Quality, change: Change) -> Iterator[str]:
    if after.dnsmos_sig is None and before.dnsmos_sig is not None:
        yield "nothing is left: the enhanced recording is silent"
        return
    if change.speech_lost is not None and change.speech_lost > MOST_SPEECH_LOST:
        yield f"{100 * change.speech_lost:.0f} % of the clear speech is more than {_LOST_DB} dB weaker than the rest"
    if change.speech_level_db is not None and abs(change.speech_level_db) > MOST_LEVEL_CHANGE_DB:
        yield f"the level of the speech changed by {change.speech_level_db:+.1f} dB"
    for name, first, second, most in (
        ("SIG, the rating of the speech,", before.dnsmos_sig, after.dnsmos_sig, MOST_SIG_FALL),
        ("OVRL, the rating of the whole,", before.dnsmos_ovrl, after.dnsmos_ovrl, MOST_OVRL_FALL),
    ):
        if first is not None and second is not None and first - second > most:
            yield f"DNSMOS {name} falls from {first:.2f} to {second:.2f}"
    if after.clipped_runs > before.clipped_runs:
        yield f"{after.clipped_runs - before.clipped_runs} more places are clipped"
    wide, narrow = before.bandwidth_hz or 0, after.bandwidth_hz or 0
    if narrow < (1 - MOST_BANDWIDTH_LOST) * wide:
        yield f"the bandwidth falls from {wide / 1000:.1f} to {narrow / 1000:.1f} kHz"
    if abs(after.seconds - before.seconds) > 0.1:
        yield f"the length changes from {before.seconds:.1f} to {after.seconds:.1f} s"


def _ratio(db: float) -> float:
    return float(10 ** (db / 10))
