"""Deformable embedding (DE), the embedding of MUSE (arXiv 2406.04589), in plain torch.

A deformable convolution (Dai et al., arXiv 1703.06211) displaces every tap of its kernel by an offset that is computed
from the input, and reads the map there by bilinear interpolation.

Bilinear interpolation is usually a gather of four corners per tap. Here offsets are at most one bin or frame, so the
nine taps (u, v) of a 3x3 kernel w read within 5x5 positions. The operation is a 5x5 depthwise convolution whose
coefficients differ from position to position,

    y[t, f] = sum over (m, n) in 5x5 of x[t + m - 2, f + n - 2] * coefficient[m, n, t, f]
    coefficient[m, n] = sum over (u, v) in 3x3 of w[u, v] * hat(dt[u, v] - (m - u - 1)) * hat(df[u, v] - (n - v - 1))

with ``hat(d) = max(0, 1 - |d|)``, the weight of bilinear interpolation. Nothing is gathered, no position is rounded,
zero padding gives the positions outside the map, and the sum over taps is a matrix product over channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REACH = 2
"""Positions from a centre to the edge of its 5x5: one for the kernel, one for the offset."""


def displacements() -> Iterator[tuple[int, int, slice, slice]]:
    """Each (m, n) of the 5x5, and the u and the v of the taps that can reach it."""
    for m in range(5):
        for n in range(5):
            yield m, n, slice(max(0, m - 2), m + 1), slice(max(0, n - 2), n + 1)


def displaced_sum(x: Tensor, rows: Tensor, columns: Tensor, weight: Tensor) -> Tensor:
    """The sum over 5x5, from the weights of interpolation.

    Args:
        x: Maps [B, c, T, F].
        rows: Hats along time [5 (m), 3 (u), 3 (v), B, T * F].
        columns: Hats along frequency [5 (n), 3 (u), 3 (v), B, T * F].
        weight: Kernels [c, 3, 3].

    Returns:
        Maps [B, c, T, F].
    """
    frames, bins = x.shape[2:]
    padded = F.pad(x, [REACH] * 4)
    out = torch.zeros_like(x)
    for m, n, u, v in displacements():
        hats = (rows[m, u, v] * columns[n, u, v]).flatten(0, 1).transpose(0, 1)  # [B, taps, T * F]
        coefficient = (weight[:, u, v].flatten(1) @ hats).view(x.shape)
        out = torch.addcmul(out, coefficient, padded[:, :, m : m + frames, n : n + bins])
    return out


def _hats(offsets: Tensor, along: int) -> Tensor:
    """``hat(offset[u, v] - (m - w - 1))`` where w is u or v, for the five m: [3, 3, B, N] to [5, 3, 3, B, N]."""
    place = torch.arange(3, device=offsets.device).view([3 if axis == along else 1 for axis in range(4)])
    m = torch.arange(5, device=offsets.device).view(5, 1, 1, 1, 1)
    return F.relu(1 - (offsets - (m - place - 1)).abs())


def hats(offsets: Tensor) -> tuple[Tensor, Tensor]:
    """The weights of bilinear interpolation along time and along frequency.

    Args:
        offsets: Displacements [B, 18, T, F], see `deform`.

    Returns:
        Hats along time [5 (m), 3 (u), 3 (v), B, T * F] and along frequency [5 (n), 3 (u), 3 (v), B, T * F].
    """
    by_tap = offsets.clamp(-1, 1).view(offsets.shape[0], 3, 3, 2, -1)
    time, frequency = by_tap.permute(3, 1, 2, 0, 4)  # [3, 3, B, T * F] each
    return _hats(time, along=0), _hats(frequency, along=1)


def deform(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """Depthwise 3x3 convolution whose taps are displaced, with zeros outside the map.

    Of the four corners of an interpolation, those outside the map count as zeros and the others as they are.

    Args:
        x: Maps [B, c, T, F].
        offsets: Displacements (frames, bins) of each tap, taps row by row, [B, 18, T, F]; clamped to [-1, 1].
        weight: Kernels [c, 1, 3, 3].

    Returns:
        Maps [B, c, T, F].
    """
    return displaced_sum(x, *hats(offsets), weight.squeeze(1))


class DeformableEmbedding(nn.Module):
    """Depthwise deformable 3x3 convolution, 1x1 convolution, Hardswish.

    The offsets come from a depthwise 3x3 and a 1x1 convolution of the input and are shared by all channels.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.offsets = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.Conv2d(channels, 2 * 9, 1, bias=False),
        )
        self.deformable = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(self.pointwise(deform(x, self.offsets(x), self.deformable.weight)))
