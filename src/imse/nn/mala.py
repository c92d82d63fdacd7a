"""Magnitude-aware linear attention (MALA), the attention of IMSE.

Fan et al., "Rectifying Magnitude Neglect in Linear Attention", arXiv 2507.00698; in IMSE (arXiv 2511.14515) it
replaces MUSE's Taylor attention.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.constants import ATTENTION_EPSILON, HEAD_SIZE, LEPE_SIZE
from imse.nn.rotary import rotate


def magnitude_aware_attention(q: Tensor, k: Tensor, v: Tensor, table: Tensor) -> Tensor:
    r"""Linear attention whose scores keep the magnitude of the query (arXiv 2507.00698).

    With N positions, heads of d = 8 channels and :math:`s = d^{-1/2}`, each head computes

    .. math::
        z_i &= s \, q_i \cdot \tfrac{1}{N} \sum_j k_j \\
        y_i &= \Bigl(1 + \frac{1}{z_i}\Bigr) \tilde q_i \, \frac{s}{N} \sum_j \tilde k_j^\top v_j
               - z_i \, \tfrac{1}{N} \sum_j v_j

    where :math:`\tilde q, \tilde k` are queries and keys after the rotary embedding. Without it, the score of query i
    for key j is :math:`\tfrac{1}{N} (\beta_i s \, q_i \cdot k_j - \gamma_i)` with :math:`\beta_i = 1 + 1/z_i` and
    :math:`\gamma_i = z_i`; the scores of a query sum to one. Plain linear attention divides by :math:`z_i`, which
    cancels :math:`\lVert q \rVert`. Here the differences between scores grow with the query: they are proportional to
    :math:`\lVert q \rVert + const`. The cost is linear in N, as :math:`K^\top V` is computed first.

    Args:
        q: Queries [B, heads, d, N], all positive.
        k: Keys [B, heads, d, N], all positive.
        v: Values [B, heads, e, N].
        table: [2, d / 2, T, F] with T * F = N, see `imse.nn.rotary.rotary_table`.

    Returns:
        [B, heads, e, N].
    """
    kv = rotate(k, table) @ v.transpose(2, 3) * (HEAD_SIZE**-0.5 / q.shape[-1])  # [B, heads, d, e]
    return rectify(kv.transpose(2, 3) @ rotate(q, table), q, k, v)


def rectify(linear: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The two terms by which MALA differs from plain linear attention: ``(1 + 1 / z) * linear - z * mean(v)``.

    Args:
        linear: Queries times ``s / N`` times the sum of products of keys and values, all after the rotary embedding,
            [B, heads, e, N].
        q: Queries before the rotary embedding [B, heads, d, N].
        k: Keys before the rotary embedding [B, heads, d, N].
        v: Values [B, heads, e, N].

    Returns:
        [B, heads, e, N].
    """
    z = HEAD_SIZE**-0.5 * k.mean(-1, keepdim=True).transpose(2, 3) @ q  # [B, heads, 1, N]
    rectified: Tensor = linear * (1 + 1 / (z + ATTENTION_EPSILON)) - z * v.mean(-1, keepdim=True)
    return rectified


class MALA(nn.Module):
    r"""Gated magnitude-aware linear attention with heads of 8 channels.

    One 1x1 convolution gives queries, keys, values and the gate o. Queries and keys are made positive by
    :math:`\mathrm{elu}(x) + 1`. A depthwise 5x5 convolution of the values (locally enhanced positional encoding, LePE)
    is added to `magnitude_aware_attention`; the sum is multiplied by o and projected by a 1x1 convolution.

    Shape:
        - x: [B, c, T, F]; table: [2, 4, T, F], see `imse.nn.rotary.rotary_table`.
        - Output: [B, c, T, F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_SIZE
        self.qkvo = nn.Conv2d(channels, 4 * channels, 1)
        self.lepe = nn.Conv2d(channels, channels, LEPE_SIZE, padding=LEPE_SIZE // 2, groups=channels)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        q, k, v, o = self.qkvo(x).chunk(4, dim=1)
        lepe = self.lepe(v)
        # [B, heads, d, N]: positions stay last, so that no map has to be transposed.
        q, k, v = (part.reshape(x.shape[0], self.heads, HEAD_SIZE, -1) for part in (q, k, v))
        attended = magnitude_aware_attention(F.elu(q) + 1, F.elu(k) + 1, v, table)
        projected: Tensor = self.proj((attended.reshape(x.shape) + lepe) * o)
        return projected
