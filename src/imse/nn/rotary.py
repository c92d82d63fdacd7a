"""Two-dimensional rotary position embedding; all attentions of one resolution share a table."""

from __future__ import annotations

import torch
from torch import Tensor

from imse.nn.constants import ROTARY_BASE


def rotary_speeds(head_size: int, device: torch.device | None = None) -> Tensor:
    """Speeds in radians per position, ``ROTARY_BASE ** -linspace(0, 1, head_size / 4)``: [head_size / 4]."""
    return ROTARY_BASE ** -torch.linspace(0, 1, head_size // 4, dtype=torch.float32, device=device)


def rotary_table(frames: int, bins: int, head_size: int, like: Tensor) -> Tensor:
    """Cosine and sine of the angle by which each pair of channels is rotated at each time-frequency position.

    The first half of a head's channels is rotated by the time index, the second half by the frequency index, each
    (even, odd) pair of channels at one of the `rotary_speeds`.

    Args:
        frames: Time positions T.
        bins: Frequency positions F.
        head_size: Channels d of one head, a multiple of 4.
        like: A tensor whose device the table is made on.

    Returns:
        Table of shape [2, d / 2, T, F] in float32: cosines, then sines.
    """
    speeds = rotary_speeds(head_size, like.device).view(-1, 1, 1)
    time = torch.arange(frames, dtype=torch.float32, device=like.device).view(1, -1, 1)
    frequency = torch.arange(bins, dtype=torch.float32, device=like.device).view(1, 1, -1)
    by_time = (speeds * time).expand(-1, frames, bins)
    by_frequency = (speeds * frequency).expand(-1, frames, bins)
    angles = torch.cat([by_time, by_frequency])
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate each (even, odd) pair of channels by its position's angle.

    Args:
        x: Queries or keys of shape [B, heads, d, T * F].
        table: `rotary_table` of shape [2, d / 2, T, F].

    Returns:
        Tensor of x's shape.
    """
    cos, sin = table.flatten(2).unsqueeze(2).unbind(0)  # [d / 2, 1, N] each
    pairs = x.reshape(*x.shape[:2], -1, 2, x.shape[-1])  # [B, heads, d / 2, 2, N]
    even, odd = pairs[:, :, :, :1], pairs[:, :, :, 1:]
    return torch.cat([even * cos - odd * sin, odd * cos + even * sin], dim=3).flatten(2, 3)
