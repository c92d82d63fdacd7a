"""Deformable depthwise convolution: bilinear sampling, its gradients, and zeros outside the map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from imse.nn.deformable import DeformableEmbedding, deform


def random_inputs(seed: int, batch: int, channels: int, frames: int, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    """Maps, offsets (some beyond [-1, 1]) and kernels in float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    return normal(batch, channels, frames, bins), normal(batch, 18, frames, bins), normal(channels, 1, 3, 3)


def by_grid_sample(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """The definition: torch's bilinear sampling with zeros outside, one tap after the other."""
    frames, bins = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1))  # at least three positions, as the normalised grid of a single one is undefined
    time, frequency = torch.arange(frames).view(-1, 1), torch.arange(bins)
    out = torch.zeros_like(x)
    for tap in range(9):
        dt, df = offsets.clamp(-1, 1)[:, 2 * tap : 2 * tap + 2].unbind(1)
        row, column = time + tap // 3 + dt, frequency + tap % 3 + df
        grid = torch.stack([2 * column / (bins + 1) - 1, 2 * row / (frames + 1) - 1], dim=-1)
        sampled = F.grid_sample(padded, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        out += weight[:, 0, tap // 3, tap % 3].view(-1, 1, 1) * sampled
    return out


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    channels=st.integers(1, 4),
    frames=st.integers(1, 9),
    bins=st.integers(1, 9),
)
def test_equals_bilinear_sampling(seed: int, batch: int, channels: int, frames: int, bins: int) -> None:
    inputs = random_inputs(seed, batch, channels, frames, bins)
    torch.testing.assert_close(deform(*inputs), by_grid_sample(*inputs), atol=1e-12, rtol=1e-12)


def test_gradients() -> None:
    inputs = [tensor.requires_grad_() for tensor in random_inputs(seed=0, batch=2, channels=3, frames=4, bins=5)]
    assert torch.autograd.gradcheck(deform, inputs)


def test_without_offsets_it_is_a_convolution() -> None:
    x, offsets, weight = random_inputs(seed=0, batch=1, channels=4, frames=6, bins=7)
    expected = F.conv2d(x, weight, padding=1, groups=4)
    torch.testing.assert_close(deform(x, torch.zeros_like(offsets), weight), expected)


def test_a_whole_offset_reads_the_neighbour_and_a_larger_one_no_further() -> None:
    x, offsets, weight = random_inputs(seed=0, batch=1, channels=4, frames=6, bins=7)
    offsets = torch.zeros_like(offsets)
    offsets[:, 1::2] = 1  # every tap one bin up
    next_bin = F.pad(x, (1, 2, 1, 1))[..., 1:]
    expected = F.conv2d(next_bin, weight, groups=4)
    torch.testing.assert_close(deform(x, offsets, weight), expected)
    torch.testing.assert_close(deform(x, 7 * offsets, weight), expected)


def test_each_corner_outside_counts_zero_by_itself() -> None:
    """Half a bin beyond the edge, half of the edge's value is left, where clamping would leave all of it."""
    offsets = torch.zeros(1, 18, 1, 4)
    offsets[:, 1::2] = 0.5
    centre = torch.zeros(1, 1, 3, 3)
    centre[..., 1, 1] = 1
    sampled = deform(torch.full((1, 1, 1, 4), 2.0), offsets, centre)
    torch.testing.assert_close(sampled.flatten(), torch.tensor([2.0, 2.0, 2.0, 1.0]))


def test_trains_in_half_precision() -> None:
    embedding = DeformableEmbedding(8)
    with torch.autocast("cpu", torch.bfloat16):
        embedding(torch.randn(1, 8, 6, 10)).float().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in embedding.parameters())
