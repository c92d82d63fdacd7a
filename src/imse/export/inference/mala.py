"""Inference form of magnitude-aware linear attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imse.export.inference.conv import convolution, depthwise
from imse.nn.constants import HEAD_SIZE
from imse.nn.mala import MALA, rectify


class InferenceMALA(nn.Module):
    r"""`MALA` of its input times a weight per channel.

    Queries, keys, values and gate have a convolution each.

    The rotary embedding is :math:`\tilde q = C q + J S q`, where C and S are diagonal (the table) and J rotates each
    pair of channels by 90 degrees. J is applied to the small matrices of each head, not to queries and keys. With
    :math:`P = \sum_j (C k_j) v_j^\top` and :math:`Q = \sum_j (S k_j) v_j^\top`,

    .. math::
        \sum_j \tilde k_j v_j^\top = P + J Q, \qquad
        \tilde q^\top (P + J Q) = (C q)^\top (P + J Q) + (S q)^\top (J^\top P + Q).

    Shape:
        - x: [B, c, T, F]; table: [2, 4, T, F], see `imse.nn.rotary.rotary_table`.
        - Output: [B, c, T, F].
    """

    rotations: Tensor

    def __init__(self, mala: MALA, weight: Tensor) -> None:
        super().__init__()
        qkvo, bias = mala.qkvo.weight[:, :, 0, 0] * weight, mala.qkvo.bias
        assert bias is not None
        self.heads = mala.heads
        self.query, self.key, self.value, self.gate = (
            convolution(*part) for part in zip(qkvo.chunk(4), bias.chunk(4), strict=True)
        )
        self.lepe, self.proj = mala.lepe, mala.proj
        # Multiplies by one. A runtime can add the output of one convolution to that of another without a change of
        # memory layout; the output of a matrix product it cannot.
        self.identity = depthwise(torch.ones(weight.numel(), 1, 1, 1).to(weight))
        quarter_turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
        j = torch.kron(torch.eye(HEAD_SIZE // 2), quarter_turn)
        eye = torch.eye(HEAD_SIZE)
        rotations = torch.cat([torch.cat([eye, j], dim=1), torch.cat([j.T, eye], dim=1)])
        self.register_buffer("rotations", rotations.to(weight))

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        value = self.value(x)
        q, k, v = (part.reshape(x.shape[0], self.heads, HEAD_SIZE, -1) for part in (self.query(x), self.key(x), value))
        q, k = _elu_plus_one(q), _elu_plus_one(k)
        # [1, 2, d, N]: cosines and sines for every channel of a head.
        by_channel = table.repeat_interleave(2, dim=1).flatten(2).unsqueeze(0)
        cos_sin_q, cos_sin_k = ((part.unsqueeze(2) * by_channel).flatten(2, 3) for part in (q, k))
        kv = self.rotations @ (cos_sin_k @ v.transpose(2, 3)) * (HEAD_SIZE**-0.5 / v.shape[-1])  # [B, heads, 2d, e]
        attended = rectify(kv.transpose(2, 3) @ cos_sin_q, q, k, v)
        lepe = self.lepe(value)
        projected: Tensor = self.proj((self.identity(attended.reshape(x.shape)) + lepe) * self.gate(x))
        return projected


def _elu_plus_one(x: Tensor) -> Tensor:
    """``elu(x) + 1`` from operations that have vector code in every runtime."""
    return torch.maximum(x + 1, torch.exp(torch.minimum(x, torch.zeros((), dtype=x.dtype))))
