"""The signal that is enhanced: what speech in noise asks of the network, made by a formula."""

from __future__ import annotations

import numpy as np

from imse.signal.spectrum import SAMPLE_RATE, Floats

_PITCH_HZ = 120
_HARMONICS = 30
_SYLLABLES_PER_SECOND = 4


def noisy_speech(seconds: float) -> Floats:
    """A voice's harmonics, rising and falling as syllables do, in white noise: [samples] at 16 kHz, always the same."""
    time = np.arange(max(1, round(seconds * SAMPLE_RATE))) / SAMPLE_RATE
    phase = 2 * np.pi * (_PITCH_HZ * time + 2 * np.sin(2 * np.pi * time))
    syllables = np.sin(np.pi * _SYLLABLES_PER_SECOND * time).clip(0)
    harmonics = np.arange(1, _HARMONICS + 1)[:, np.newaxis]
    voice = syllables * (np.sin(harmonics * phase) / harmonics).sum(0)
    noise = np.random.default_rng(0).standard_normal(len(time))
    signal: Floats = (0.1 * voice + 0.02 * noise).astype(np.float32)
    return signal
