"""Time of each attention for 1 to 60 seconds of audio. Its cost is linear in the number of positions.

    python benchmarks/attention.py

The forward pass of one attention of the full-resolution level (16 channels; 160 frames per second by 128 bins), on one
thread. The attentions are timed in turns, and the fastest turn counts. Softmax attention, which they replace, is timed
for one second only, because its cost is quadratic.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from imse.nn.constants import HEAD_SIZE
from imse.nn.parts import ATTENTIONS
from imse.nn.rotary import rotary_table

CHANNELS, BINS, FRAMES_PER_SECOND = 16, 128, 160
SECONDS = (1, 2, 5, 10, 20, 60)
ROUNDS = 3


def softmax(x: Tensor, _table: Tensor) -> Tensor:
    """Softmax attention with heads of the same width, without projections."""
    heads = x.view(1, CHANNELS // HEAD_SIZE, HEAD_SIZE, -1).transpose(2, 3).contiguous()
    return F.scaled_dot_product_attention(heads, heads, heads)


def milliseconds(attention: Callable[[Tensor, Tensor], Tensor], x: Tensor, table: Tensor) -> float:
    """Time of one call."""
    start = time.perf_counter()
    attention(x, table)
    return 1e3 * (time.perf_counter() - start)


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    attentions = {name: build(CHANNELS, 0).eval() for name, build in ATTENTIONS.items()}
    print(f"{'seconds':>7} {'positions':>10}" + "".join(f"{f'{name}, ms (per s)':>22}" for name in attentions))
    for seconds in SECONDS:
        frames = seconds * FRAMES_PER_SECOND
        x, table = torch.randn(1, CHANNELS, frames, BINS), rotary_table(frames, BINS, HEAD_SIZE, torch.empty(0))
        turns = [[milliseconds(part, x, table) for part in attentions.values()] for _ in range(ROUNDS)]
        best = [min(column) for column in zip(*turns, strict=True)]
        cells = "".join(f"{f'{cost:.0f} ({cost / seconds:.0f})':>22}" for cost in best)
        print(f"{seconds:>7} {frames * BINS:>10,}{cells}")
    one = torch.randn(1, CHANNELS, FRAMES_PER_SECOND, BINS)
    print(f"softmax attention of 1 s, its products alone: {milliseconds(softmax, one, one):.0f} ms")


if __name__ == "__main__":
    main()
