"""Deformable embedding (DE), the embedding of MUSE (arXiv 2406.04589), in plain torch.

A deformable convolution (Dai et al., arXiv 1703.06211) lets every tap of its kernel look beside its place, by an
offset that is itself computed from the input, and reads the map there by bilinear interpolation.

Bilinear interpolation is usually a gather of four corners per tap. Here an offset never exceeds one bin or frame,
so whatever the nine taps of a 3x3 kernel read lies within 5x5: the operation is a 5x5 depthwise convolution whose
coefficients differ from place to place,

    y[t, f] = sum over (m, n) in 5x5 of x[t + m - 2, f + n - 2] * coefficient[m, n, t, f]
    coefficient[m, n] = sum over taps (u, v) of w[u, v] * hat(dy[u, v] - (m - u - 1)) * hat(dx[u, v] - (n - v - 1))

with ``hat(d) = max(0, 1 - |d|)``, which is bilinear interpolation. Nothing is gathered, positions are never rounded,
a neighbour outside the map is a zero of the padding, and the sum over taps is a matrix product over channels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_REACH = 2  # one for the kernel, one for the offset
# For each displacement (m, n) of the 5x5: the taps that can reach it, numbered row by row, and which of their three
# hats along time and along frequency (of offsets towards -1, 0, +1) they reach it with.
_Taps = tuple[list[int], list[int], list[int]]
_DISPLACEMENTS: list[tuple[int, int, _Taps]] = []
for _m in range(5):
    for _n in range(5):
        _reaching = [
            (3 * u + v, _m - u, _n - v) for u in range(3) for v in range(3) if 0 <= _m - u <= 2 and 0 <= _n - v <= 2
        ]
        _taps, _rows, _columns = (list(column) for column in zip(*_reaching, strict=True))
        _DISPLACEMENTS.append((_m, _n, (_taps, _rows, _columns)))


class _Deform(torch.autograd.Function):
    """The sum over 5x5. Its coefficients are computed again for the gradient, as 25 of them would be kept otherwise.

    Shape:
        - x: [B, c, T, F]; rows, columns: hats along time and frequency [3, 9, B, T * F]; weight: [c, 9].
        - Output: [B, c, T, F].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, columns: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, rows, columns, weight)
        frames, bins = x.shape[2:]
        padded = F.pad(x, [_REACH] * 4)
        out = torch.zeros_like(x)
        for m, n, (taps, row, column) in _DISPLACEMENTS:
            hats = (rows[row, taps] * columns[column, taps]).transpose(0, 1)  # [B, taps, T * F]
            out.addcmul_((weight[:, taps] @ hats).view_as(x), padded[:, :, m : m + frames, n : n + bins])
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        (gradient,) = gradients
        x, rows, columns, weight = ctx.saved_tensors
        frames, bins = x.shape[2:]
        padded = F.pad(x, [_REACH] * 4)
        of_padded, of_rows, of_columns, of_weight = map(torch.zeros_like, (padded, rows, columns, weight))
        for m, n, (taps, row, column) in _DISPLACEMENTS:
            place = (slice(None), slice(None), slice(m, m + frames), slice(n, n + bins))
            hats = (rows[row, taps] * columns[column, taps]).transpose(0, 1)
            of_padded[place].addcmul_(gradient, (weight[:, taps] @ hats).view_as(x))
            of_coefficient = (gradient * padded[place]).flatten(2)  # [B, c, T * F]
            of_weight[:, taps] += (of_coefficient @ hats.transpose(1, 2)).sum(0)
            of_hats = (weight[:, taps].T @ of_coefficient).transpose(0, 1)  # [taps, B, T * F]
            of_rows[row, taps] += of_hats * columns[column, taps]
            of_columns[column, taps] += of_hats * rows[row, taps]
        return of_padded[:, :, _REACH:-_REACH, _REACH:-_REACH], of_rows, of_columns, of_weight


def deform(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """Depthwise 3x3 convolution whose taps are displaced, with zeros outside the map.

    Each of the four corners of an interpolation that lies outside counts zero by itself.

    Args:
        x: Maps [B, c, T, F].
        offsets: Displacements (frames, bins) of each tap, taps row by row, [B, 18, T, F]; clamped to [-1, 1].
        weight: Kernels [c, 1, 3, 3].

    Returns:
        Maps [B, c, T, F].
    """
    by_tap = offsets.clamp(-1, 1).view(len(x), 9, 2, -1)
    frames_bins = by_tap.permute(2, 1, 0, 3)  # [2, 9, B, T * F]
    rows, columns = torch.stack([F.relu(-frames_bins), 1 - frames_bins.abs(), F.relu(frames_bins)], dim=1)
    out: Tensor = _Deform.apply(x, rows, columns, weight.flatten(1))  # type: ignore[no-untyped-call]
    return out


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
