"""What losses on power spectra share: bins summed into bands, and the frames that hold speech."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from imse.signal.spectrum import BINS, N_FFT, SAMPLE_RATE

# Power of a frame of `imse.nn.spectrum` 40 dB below unit root mean square. By Parseval, half the transform's bins hold
# half of 510 times the energy of the window, which is 3 / 8 of its length.
_SILENCE = 1e-4 * N_FFT / 2 * (3 / 8 * N_FFT)
_DYNAMIC_RANGE = 1e-4  # 40 dB


def share_bins(edges: Tensor, scale: Callable[[Tensor], Tensor] = torch.clone) -> Tensor:
    """Share of each bin in each band, so that ``share @ power`` gives the power of bands.

    A bin is the interval of one bin's width around its frequency and is shared out between the bands it overlaps, so
    no band is left empty, however narrow.

    Args:
        edges: Ascending edges of adjacent bands [bands + 1] on the scale.
        scale: Function from Hz, at least 1, to the scale on which the edges are and bins are cut up; Hz by default.

    Returns:
        Shares from 0 to 1 [bands, 256].
    """
    width = SAMPLE_RATE / N_FFT
    hertz = torch.arange(BINS) * width
    low, high = (scale((hertz + side * width).clamp(min=1.0)) for side in (-0.5, 0.5))
    overlap = torch.minimum(high, edges[1:, None]) - torch.maximum(low, edges[:-1, None])
    return overlap.clamp(min=0) / (high - low)


def speech_frames(power: Tensor) -> Tensor:
    """Which frames of clean speech count: those within 40 dB of the loudest one, as in STOI; none in silence.

    Silence is a loudest frame more than 40 dB below unit root mean square, which the network's input has: there, all
    that is within 40 dB of the loudest frame is the recording's own noise.

    Args:
        power: Power spectra ``|X| ** 2`` [B, 256, T] in the STFT of `imse.nn.spectrum`.

    Returns:
        Boolean [B, T].
    """
    energy = power.sum(1)
    loudest = energy.amax(-1, keepdim=True)
    return (energy > loudest * _DYNAMIC_RANGE) & (loudest > _SILENCE)
