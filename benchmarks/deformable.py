"""Deformable convolution as a sum over 5x5 (`imse.nn.deformable`), compared with the usual gather of four corners.

    python benchmarks/deformable.py

The forward pass, and forward with the backward pass of `imse.train.kernels.deformable`, of one 1.92 s segment at
MUSE's three resolutions, on one thread. Both are timed in turns, and the fastest turn counts. Errors are relative to
the gather in float64.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from imse.nn.deformable import deform
from imse.train.kernels import deformable as training_form

ROUNDS = 7


def gather(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """One tap after the other, four corners each. Corners outside the map are zero."""
    frames, bins = x.shape[2:]
    row, column = torch.arange(frames).view(-1, 1), torch.arange(bins)
    out = torch.zeros_like(x)
    for tap in range(9):
        dt, df = offsets.clamp(-1, 1)[:, 2 * tap : 2 * tap + 2].unbind(1)
        t, f = row + tap // 3 - 1 + dt, column + tap % 3 - 1 + df
        sampled = torch.zeros_like(x)
        for corner in range(4):
            t0, f0 = t.floor() + corner // 2, f.floor() + corner % 2
            inside = (t0 >= 0) & (t0 < frames) & (f0 >= 0) & (f0 < bins)
            share = (1 - (t - t0).abs()) * (1 - (f - f0).abs()) * inside
            index = (t0.clamp(0, frames - 1) * bins + f0.clamp(0, bins - 1)).long()
            picked = x.flatten(2).gather(2, index.flatten(1).unsqueeze(1).expand(-1, x.shape[1], -1))
            sampled = sampled + share.unsqueeze(1) * picked.view_as(x)
        out = out + weight[:, 0, tap // 3, tap % 3].view(-1, 1, 1) * sampled
    return out


def seconds(kind: str, training: bool, inputs: list[Tensor]) -> float:
    """Time of one call."""
    operation = {"gather": gather, "sum over 5x5": training_form.deform if training else deform}[kind]
    with torch.set_grad_enabled(training):
        start = time.perf_counter()
        out = operation(*inputs)
        if training:
            torch.autograd.grad(out, inputs, torch.ones_like(out))
        return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kinds = ("gather", "sum over 5x5")
    print(f"{'maps':>14} {'error':>16} {'forward, ms':>20} {'with backward, ms':>22}")
    for channels, frames, bins in ((16, 308, 128), (32, 154, 64), (48, 77, 32)):
        shapes = ((1, channels, frames, bins), (1, 18, frames, bins), (channels, 1, 3, 3))
        inputs = [torch.randn(shape, requires_grad=True) for shape in shapes]
        with torch.no_grad():
            exact = gather(*(tensor.double() for tensor in inputs))
            errors = [float((out(*inputs) - exact).abs().max()) for out in (gather, deform)]
        row = f"{channels:>3}x{frames}x{bins:<4} {errors[0]:>8.0e}{errors[1]:>8.0e}"
        for training in (False, True):
            turns = [[seconds(kind, training, inputs) for kind in kinds] for _ in range(ROUNDS)]
            slow, fast = (1e3 * min(column) for column in zip(*turns, strict=True))
            row += f" {slow:>8.1f}{fast:>8.1f} ({slow / fast:.1f}x)"
        print(row)


if __name__ == "__main__":
    main()
