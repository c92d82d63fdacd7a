"""Inference form of magnitude-aware linear attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imse.nn.inference.conv import convolution, depthwise
from imse.nn.mala import HEAD_WIDTH, MALA


class InferenceMALA(nn.Module):
    r"""`MALA` of its input times a weight per channel; queries, keys, values and gate from a convolution each.

    Queries and keys are not turned: the rotary embedding is :math:`\tilde q = C q + J S q` with diagonal C and S (the
    table) and J, the quarter turn of each pair of channels, and J is left to the matrices of a head. With
    :math:`P = \sum_j (C k_j) v_j^\top` and :math:`Q = \sum_j (S k_j) v_j^\top`,

    .. math::
        \sum_j \tilde k_j v_j^\top = P + J Q, \qquad
        \tilde q^\top (P + J Q) = (C q)^\top (P + J Q) + (S q)^\top (J^\top P + Q).

    Shape:
        - x: [B, c, T, F]; table: [2, 4, T, F], see `imse.nn.rotary.rotary_table`.
        - Output: [B, c, T, F].
    """

    turns: Tensor

    def __init__(self, mala: MALA, weight: Tensor) -> None:
        super().__init__()
        qkvo, bias = mala.qkvo.weight[:, :, 0, 0] * weight, mala.qkvo.bias
        assert bias is not None
        self.heads = mala.heads
        self.query, self.key, self.value, self.gate = (
            convolution(*part) for part in zip(qkvo.chunk(4), bias.chunk(4), strict=True)
        )
        self.lepe, self.proj = mala.lepe, mala.proj
        # Multiplies by one. What a convolution gives, and no matrix product, can be added to another convolution's
        # output without a change of memory layout.
        self.enter = depthwise(torch.ones(weight.numel(), 1, 1, 1).to(weight))
        quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
        turn = torch.kron(torch.eye(HEAD_WIDTH // 2), quarter)
        eye = torch.eye(HEAD_WIDTH)
        turns = torch.cat([torch.cat([eye, turn], dim=1), torch.cat([turn.T, eye], dim=1)])
        self.register_buffer("turns", turns.to(weight))

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        value = self.value(x)
        q, k, v = (part.reshape(x.shape[0], self.heads, HEAD_WIDTH, -1) for part in (self.query(x), self.key(x), value))
        q, k = _elu_plus_one(q), _elu_plus_one(k)
        # [1, 2, d, N]: cosines and sines for every channel of a head.
        by_channel = table.repeat_interleave(2, dim=1).flatten(2).unsqueeze(0)
        cos_sin_q, cos_sin_k = ((part.unsqueeze(2) * by_channel).flatten(2, 3) for part in (q, k))
        scale = HEAD_WIDTH**-0.5
        kv = self.turns @ (cos_sin_k @ v.transpose(2, 3)) * (scale / v.shape[-1])  # [B, heads, 2d, e]
        z = scale * k.mean(-1, keepdim=True).transpose(2, 3) @ q
        attended = kv.transpose(2, 3) @ cos_sin_q * (1 + 1 / (z + 1e-6)) - z * v.mean(-1, keepdim=True)
        lepe = self.lepe(value)
        projected: Tensor = self.proj((self.enter(attended.reshape(x.shape)) + lepe) * self.gate(x))
        return projected


def _elu_plus_one(x: Tensor) -> Tensor:
    """``elu(x) + 1`` from operations that have vector code in every runtime."""
    return torch.maximum(x + 1, torch.exp(torch.minimum(x, torch.zeros((), dtype=x.dtype))))
