"""Multi-path enhanced Taylor attention (MET), the attention of MUSE (arXiv 2406.04589).

Its Taylor attention and refinement weight come from MB-TaylorFormer (Qiu et al., arXiv 2308.14036).
"""

from __future__ import annotations

from collections import Counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.constants import ATTENTION_EPSILON

# Kernel size of each head's refinement convolution. With n heads, the first n are used.
_WINDOWS = (3, 3, 5, 5, 5, 7, 7, 7)


class Refinement(nn.Module):
    """A weight between 0 and 1 for each head and position, from a convolution of the head's queries and keys.

    Heads with the same kernel size share one grouped convolution with a group for each head.

    Shape:
        - q, k: [B, heads, d, T, F]; output: [B, heads, 1, T, F].
    """

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        windows = Counter(_WINDOWS[:heads])
        self.heads = list(windows.values())
        self.convs = nn.ModuleList(
            nn.Conv2d(count * 2 * width, count, window, padding=window // 2, groups=count)
            for window, count in windows.items()
        )

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        maps = torch.split(torch.cat([q, k], dim=2), self.heads, dim=1)
        weights = [conv(heads.flatten(1, 2)) for conv, heads in zip(self.convs, maps, strict=True)]
        return torch.sigmoid(torch.cat(weights, dim=1)).unsqueeze(2)


class MET(nn.Module):
    r"""Softmax attention with :math:`e^x` replaced by its first-order Taylor polynomial :math:`1 + x`, in two paths.

    With queries and keys of unit length, N positions and a learnable temperature :math:`\tau`, each head computes

    .. math::
        y_i = \tau \, \frac{\sum_j v_j + q_i \sum_j k_j^\top v_j}{N + q_i \cdot \sum_j k_j}

    at a cost linear in N, as :math:`K^\top V` is computed first. `Refinement` multiplies it by local weights. The
    second path multiplies the result by a weight per channel (a 1x1 convolution of the input's mean) and by a map per
    channel (the GELU of two convolutions of the input).

    Args:
        channels: Width c, a multiple of the heads.
        heads: Attention heads, at most 8.

    Shape:
        - x: [B, c, T, F]; output: [B, c, T, F]. The rotary table is not used.

    Raises:
        ValueError: The width cannot be split into that many heads.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if not 1 <= heads <= len(_WINDOWS) or channels % heads:
            raise ValueError(f"{channels} channels cannot be split into {heads} heads of 1 to {len(_WINDOWS)}")
        self.heads = heads
        self.qkv = nn.Sequential(
            nn.Conv2d(channels, 3 * channels, 1, bias=False),
            nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False),
        )
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.refinement = Refinement(heads, channels // heads)
        self.channel = nn.Conv2d(channels, channels, 1)
        self.spatial = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1, bias=False),
            nn.Conv2d(2 * channels, channels, 3, padding=1, groups=channels, bias=False),
        )
        self.proj = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor, _table: Tensor) -> Tensor:
        q, k, v = (part.view(x.shape[0], self.heads, -1, *x.shape[2:]) for part in self.qkv(x).chunk(3, dim=1))
        q, k = (part / (torch.linalg.vector_norm(part, dim=2, keepdim=True) + ATTENTION_EPSILON) for part in (q, k))
        weight = self.refinement(q, k)
        attended = (self._attend(q.flatten(3), k.flatten(3), v.flatten(3)).view_as(v) * weight).flatten(1, 2)
        gate = self.channel(x.mean((2, 3), keepdim=True)) * F.gelu(self.spatial(x))
        projected: Tensor = self.proj(attended * gate)
        return projected

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Taylor attention over maps [B, heads, d, N]."""
        positions = q.shape[-1]
        numerator = v.sum(-1, keepdim=True) + v @ k.transpose(2, 3) @ q
        denominator = positions + k.sum(-1, keepdim=True).transpose(2, 3) @ q + ATTENTION_EPSILON
        return numerator / denominator * self.temperature
