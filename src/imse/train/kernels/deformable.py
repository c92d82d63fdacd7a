"""Deformable embedding (`imse.nn.deformable`) that trains in less memory, on every device.

Plain torch stores the coefficients of all 25 displacements for the backward pass. Here it recomputes them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.deformable import REACH, DeformableEmbedding, displaced_sum, displacements, hats


def recompute(network: nn.Module) -> None:
    """Change the class of the deformable embeddings of a network, in place, as `imse.train.kernels.accelerate` does."""
    for module in network.modules():
        if type(module) is DeformableEmbedding:
            module.__class__ = _DeformableEmbedding


def deform(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """`imse.nn.deformable.deform` with a backward pass of its own."""
    out: Tensor = _Sum.apply(x, *hats(offsets), weight.squeeze(1))  # type: ignore[no-untyped-call]
    return out


class _DeformableEmbedding(DeformableEmbedding):
    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(self.pointwise(deform(x, self.offsets(x), self.deformable.weight)))


class _Sum(torch.autograd.Function):
    """`displaced_sum`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, columns: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, rows, columns, weight)
        return displaced_sum(x, rows, columns, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        (gradient,) = gradients
        x, rows, columns, weight = ctx.saved_tensors
        frames, bins = x.shape[2:]
        padded = F.pad(x, [REACH] * 4)
        of_padded, of_rows, of_columns, of_weight = map(torch.zeros_like, (padded, rows, columns, weight))
        for m, n, u, v in displacements():
            place = (..., slice(m, m + frames), slice(n, n + bins))
            taps = weight[:, u, v].flatten(1)
            weights = (rows[m, u, v] * columns[n, u, v]).flatten(0, 1).transpose(0, 1)  # [B, taps, T * F]
            of_padded[place].addcmul_(gradient, (taps @ weights).view(x.shape))
            of_coefficient = (gradient * padded[place]).flatten(2)  # [B, c, T * F]
            of_weight[:, u, v] += (of_coefficient @ weights.transpose(1, 2)).sum(0).view_as(weight[:, u, v])
            of_weights = (taps.T @ of_coefficient).transpose(0, 1).reshape(rows[m, u, v].shape)
            of_rows[m, u, v].addcmul_(of_weights, columns[n, u, v])
            of_columns[n, u, v].addcmul_(of_weights, rows[m, u, v])
        return of_padded[..., REACH:-REACH, REACH:-REACH], of_rows, of_columns, of_weight
