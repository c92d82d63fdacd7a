"""Speech without the noise floor of its recording, as a training target.

"Clean" recordings hold the noise of their room and microphone, 30 to 55 dB below the speech. A network that is trained
on such targets learns to keep that noise. Spectral subtraction (Boll, IEEE TASSP 27(2), 1979; over-subtraction and
spectral floor after Berouti et al., ICASSP 1979) removes it: at these ratios its artefacts are as far below the speech
as the floor was.
"""

from __future__ import annotations

import numpy as np

from imse.signal.spectrum import Floats, istft, stft
from imse.signal.windows import moving_windows

_SMOOTHING = 5  # frames, 31 ms
_QUIET = 0.1  # share of the frames that are pauses
_OVER_SUBTRACTION = 4.0  # of the quiet frames' power, which lies below the floor's mean
_LEAST_GAIN = 10 ** (-30 / 20)


def remove_floor(waveform: Floats) -> Floats:
    """Lower the stationary noise of a recording by up to 30 dB.

    The power of the noise in each bin is the 10th percentile over time, so the recording needs pauses.

    Args:
        waveform: [samples] at 16 kHz.

    Returns:
        Waveform [samples].
    """
    spectrum = stft(waveform[None])
    power = moving_windows(np.abs(spectrum[0]) ** 2, _SMOOTHING, axis=0).mean(-1)  # [T, bins]
    noise = np.quantile(power, _QUIET, axis=0)
    gain = np.sqrt(np.maximum(1 - _OVER_SUBTRACTION * noise / (power + 1e-20), _LEAST_GAIN**2))
    lowered: Floats = istft(spectrum * gain, len(waveform))[0]
    return lowered
