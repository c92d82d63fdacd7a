"""A differentiable relative of STOI: how well the envelopes of third-octave bands follow those of clean speech.

The measure is Taal et al., "An Algorithm for Intelligibility Prediction of Time-Frequency Weighted Noisy Speech", IEEE
TASLP 19(7), 2011, section II; as a loss: Fu et al., "End-to-End Waveform Utterance Enhancement for Direct Evaluation
Metrics Optimization by Fully Convolutional Neural Networks", IEEE/ACM TASLP 26(9), 2018. It differs in three ways: the
STFT is the network's (31.9 ms every 6.25 ms at 16 kHz, instead of 25.6 ms every 12.8 ms at 10 kHz), silent frames are
taken out of the spectrum instead of the waveform, and norms have a lower limit, so that silence has a gradient, too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imse.train.bands import share_bins, speech_frames

_BANDS = 15
_LOWEST_HERTZ = 150.0  # centre of the first band
_SEGMENT = 61  # frames: 381 ms
_SHIFT = 2  # frames from one segment to the next: 12.5 ms, about STOI's
_CLIP = 1 + 10 ** (15 / 20)  # an envelope that is larger than this times the clean one is below -15 dB of SDR
_FLOOR = 1e-4  # of the energy of the estimate's envelope, relative to the clean one's
_EPSILON = 1e-6


class IntelligibilityLoss(nn.Module):
    """One less the mean correlation of band envelopes over bands and segments: about 1 - STOI, and 0 for equal sounds.

    Segments are made of frames with speech alone. Where there are fewer frames of them than a segment takes, there is
    one segment of those; an utterance without any counts as 0.

    Shape:
        - estimate, clean: power spectra ``|X| ** 2`` [B, 256, T] in the STFT of `imse.nn.spectrum`.
        - Output: a scalar, the mean over B.
    """

    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        edges = _LOWEST_HERTZ * 2 ** ((2 * torch.arange(_BANDS + 1) - 1) / 6)
        self.register_buffer("bands", share_bins(edges), persistent=False)

    def forward(self, estimate: Tensor, clean: Tensor) -> Tensor:
        active = speech_frames(clean)
        # Frames with speech move to the front, in their order.
        order = active.sort(dim=1, descending=True, stable=True).indices.unsqueeze(1).expand(-1, _BANDS, -1)
        # The epsilon keeps the gradient of the root finite.
        x, y = (((self.bands @ power).gather(2, order) + _EPSILON).sqrt() for power in (clean, estimate))
        correlation, weight = segment_correlation(x, y, active.sum(1))
        spoken = weight.sum(1)
        mean = (correlation.mean(1) * weight).sum(1) / spoken.clamp(min=1)
        return ((1 - mean) * (spoken > 0)).mean()


def segment_correlation(clean: Tensor, estimate: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation of envelopes in each segment (equations 3 to 5 of the paper).

    Args:
        clean: Band envelopes [B, bands, T].
        estimate: Band envelopes [B, bands, T].
        frames: How many of the first frames count, integer [B].

    Returns:
        Correlation [B, bands, segments], and 1 for segments that count, 0 for others [B, segments].
    """
    length = min(_SEGMENT, clean.shape[2])
    x, y = (envelope.unfold(2, length, _SHIFT) for envelope in (clean, estimate))
    starts = torch.arange(x.shape[2], device=frames.device) * _SHIFT
    # The first segment counts also where it is not full; of others, those that are.
    weight = ((starts + length <= frames[:, None]) | (starts == 0)) & (frames[:, None] > 0)
    inside = (torch.arange(length, device=frames.device) < frames[:, None])[:, None, None]
    x, y = x * inside, y * inside

    energy_x = _energy(x)
    y = y * ((energy_x + _EPSILON) / (_energy(y) + _FLOOR * energy_x + _EPSILON)).sqrt()
    y = torch.minimum(y, _CLIP * x)
    count = inside.sum(-1, keepdim=True).clamp(min=1)
    x, y = ((part - part.sum(-1, keepdim=True) / count) * inside for part in (x, y))
    energy_x, energy_y = _energy(x), _energy(y)
    norm = (energy_x * (energy_y + _FLOOR * energy_x) + _EPSILON).sqrt()
    return (x * y).sum(-1) / norm.squeeze(-1), weight.to(x.dtype)


def _energy(segments: Tensor) -> Tensor:
    return segments.square().sum(-1, keepdim=True)
