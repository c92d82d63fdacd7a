"""Magnitude-aware linear attention: its scores, and the explicit N x N formula."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from imse.nn.mala import magnitude_aware_attention
from imse.nn.rotary import rotary_table

WIDTH = 8


def random_attention_inputs(seed: int, positions: int) -> tuple[Tensor, Tensor]:
    """Positive queries and keys [1, 1, d, N] in float64."""
    generator = torch.Generator().manual_seed(seed)
    q, k = torch.rand(2, 1, 1, WIDTH, positions, dtype=torch.float64, generator=generator) + 0.05
    return q, k


def scores(q: Tensor, k: Tensor) -> Tensor:
    """Scores [N, N] of each query (row) for each key, without rotary embedding: the output for one-hot values."""
    positions = q.shape[-1]
    unturned = torch.stack([torch.ones(WIDTH // 2, positions, 1), torch.zeros(WIDTH // 2, positions, 1)]).double()
    return magnitude_aware_attention(q, k, torch.eye(positions).double()[None, None], unturned)[0, 0].T


seeds = st.integers(0, 2**31)
sizes = st.integers(2, 40)


@settings(deadline=None)
@given(seed=seeds, positions=sizes)
def test_scores_of_a_position_sum_to_one(seed: int, positions: int) -> None:
    q, k = random_attention_inputs(seed, positions)
    torch.testing.assert_close(scores(q, k).sum(1), torch.ones(positions).double(), atol=1e-4, rtol=0)


@settings(deadline=None)
@given(seed=seeds, positions=sizes, factor=st.floats(1.5, 20))
def test_a_larger_query_sharpens_the_scores(seed: int, positions: int, factor: float) -> None:
    """The order of the keys stays, and every gap between two keys' scores grows.

    With s_ij = d^-1/2 q_i . k_j and z_i = mean_j s_ij, a query scaled by t has the scores
    ``((1 + 1 / (t z_i)) t s_ij - t z_i) / N``: their gaps are ``(t + 1 / z_i) (s_ij - s_ik) / N``.
    """
    q, k = random_attention_inputs(seed, positions)
    before, after = scores(q, k), scores(factor * q, k)
    z = WIDTH**-0.5 * (k.mean(-1) * q[0, 0].T).sum(-1).squeeze().unsqueeze(-1)
    expected = (before - 1 / positions) * (factor + 1 / z) / (1 + 1 / z)
    torch.testing.assert_close(after - 1 / positions, expected, atol=1e-4, rtol=1e-4)
    assert (after.std(1) > before.std(1)).all()


@settings(deadline=None)
@given(seed=seeds, positions=sizes, factor=st.floats(1.5, 20))
def test_plain_linear_attention_does_not(seed: int, positions: int, factor: float) -> None:
    """What MALA rectifies: ``s_ij / sum_j s_ij`` divides the query's magnitude out."""
    q, k = random_attention_inputs(seed, positions)

    def linear(q: Tensor) -> Tensor:
        products = (q.transpose(2, 3) @ k)[0, 0]
        return products / products.sum(1, keepdim=True)

    torch.testing.assert_close(linear(factor * q), linear(q))


@settings(max_examples=20, deadline=None)
@given(seed=seeds, frames=st.integers(1, 9), bins=st.integers(1, 9))
def test_equals_the_explicit_formula(seed: int, frames: int, bins: int) -> None:
    """The N x N scores, with complex numbers as the rotary embedding, in float64."""
    positions = frames * bins
    q, k = random_attention_inputs(seed, positions)
    v = torch.randn(1, 1, WIDTH, positions, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    table = rotary_table(frames, bins, WIDTH, like=q).double()
    fast = magnitude_aware_attention(q, k, v, table)

    cos, sin = table.flatten(2)
    turn = torch.complex(cos, sin)  # [d / 2, N]
    turned_q, turned_k = (torch.complex(x[0, 0, ::2], x[0, 0, 1::2]).T * turn.T for x in (q, k))
    products = WIDTH**-0.5 * (turned_q @ turned_k.conj().T).real
    z = WIDTH**-0.5 * (q[0, 0].T @ k[0, 0]).mean(1, keepdim=True)
    explicit = ((1 + 1 / (z + 1e-6)) * products - z) / positions @ v[0, 0].T
    torch.testing.assert_close(fast[0, 0].T, explicit)
