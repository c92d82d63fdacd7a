"""Magnitude-aware linear attention (MALA), the attention of IMSE.

Fan et al., "Rectifying Magnitude Neglect in Linear Attention", arXiv 2507.00698; in IMSE (arXiv 2511.14515) it
replaces MUSE's Taylor attention.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.rotary import rotate

HEAD_WIDTH = 8


def magnitude_aware_attention(q: Tensor, k: Tensor, v: Tensor, table: Tensor) -> Tensor:
    r"""Linear attention whose scores keep the magnitude of the query (arXiv 2507.00698).

    With N positions and :math:`s = d^{-1/2}`, each head computes

    .. math::
        z_i &= s \, q_i \cdot \tfrac{1}{N} \sum_j k_j \\
        y_i &= \Bigl(1 + \frac{1}{z_i}\Bigr) \tilde q_i \, \frac{s}{N} \sum_j \tilde k_j^\top v_j
               - z_i \, \tfrac{1}{N} \sum_j v_j

    where :math:`\tilde q, \tilde k` are queries and keys after the rotary embedding. Before it, the score of position
    j is :math:`\tfrac{1}{N} (\beta_i s \, q_i \cdot k_j - \gamma_i)` with :math:`\beta_i = 1 + 1/z_i` and
    :math:`\gamma_i = z_i`; the scores of a position sum to one. Unlike a division by :math:`z_i`, which cancels
    :math:`\lVert q \rVert`, this makes them sharper as the query grows: their differences are proportional to
    :math:`\lVert q \rVert + const`. The cost is linear in N, as :math:`K^\top V` is formed first.

    Args:
        q: Queries [B, heads, d, N], all positive.
        k: Keys [B, heads, d, N], all positive.
        v: Values [B, heads, e, N].
        table: [2, d / 2, T, F] with T * F = N, see `imse.nn.rotary.rotary_table`.

    Returns:
        [B, heads, e, N].
    """
    scale = q.shape[2] ** -0.5
    z = scale * (k.mean(-1, keepdim=True).transpose(2, 3) @ q)  # [B, heads, 1, N]
    q, k = rotate(q, table), rotate(k, table)
    kv = k @ v.transpose(2, 3) * (scale / q.shape[-1])  # [B, heads, d, e]
    attended: Tensor = kv.transpose(2, 3) @ q * (1 + 1 / (z + 1e-6)) - z * v.mean(-1, keepdim=True)
    return attended


class MALA(nn.Module):
    r"""Gated magnitude-aware linear attention with heads of width 8.

    Queries and keys are made positive by :math:`\mathrm{elu}(x) + 1`. A depthwise 5x5 convolution of the values
    (locally enhanced positional encoding) is added to `magnitude_aware_attention`, and the sum is gated by the output
    map o before the last projection.

    Shape:
        - x: [B, c, T, F]; table: [2, 4, T, F], see `imse.nn.rotary.rotary_table`.
        - Output: [B, c, T, F].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.qkvo = nn.Conv2d(channels, 4 * channels, 1)
        self.lepe = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        q, k, v, o = self.qkvo(x).chunk(4, dim=1)
        lepe = self.lepe(v)
        # [B, heads, d, N] throughout: the channels stay outside, so no map is ever transposed.
        q, k, v = (part.reshape(x.shape[0], self.heads, HEAD_WIDTH, -1) for part in (q, k, v))
        attended = magnitude_aware_attention(F.elu(q) + 1, F.elu(k) + 1, v, table)
        projected: Tensor = self.proj((attended.reshape(x.shape) + lepe) * o)
        return projected
