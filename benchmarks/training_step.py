"""Time of a forward and backward pass of the network, with compiled kernels (`imse.train.kernels`) and in plain torch.

    python benchmarks/training_step.py

Two segments of 20,300 samples pass through each network, on one thread, without the loss and the optimiser. Both are
timed in turns, so that other load on the machine affects them equally; the table has the medians of processor time.
The errors are those of all gradients, plain and compiled, relative to the gradients of plain torch in float64.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from statistics import median

import torch
from torch import Tensor

from imse.nn import Network, NetworkConfig
from imse.train.kernels import accelerate, prepare

BATCH, SAMPLES = 2, 20_300
SIZES = ((8, 1), (16, 1), (16, 4))


def gradients(network: Network, spectrum: list[Tensor]) -> tuple[float, list[Tensor]]:
    """Processor time of one forward and backward pass, and the gradients of the parameters."""
    network.zero_grad()
    start = time.process_time()
    magnitude, phase = network(*spectrum)
    (magnitude.square().mean() + torch.cos(phase).mean()).backward()
    seconds = time.process_time() - start
    return seconds, [p.grad.double() for p in network.parameters() if p.grad is not None]


def error(found: list[Tensor], exact: list[Tensor]) -> float:
    """Error of all gradients together, relative to their norm."""
    difference = sum(float((a - b).square().sum()) for a, b in zip(found, exact, strict=True))
    return math.sqrt(difference / sum(float(b.square().sum()) for b in exact))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if reason := prepare():
        raise SystemExit(reason)
    audio = BATCH * SAMPLES / 16_000
    print(f"{'network':>12} {'plain, s':>9} {'compiled, s':>12} {'faster':>7} {'s of audio per s':>17} {'errors':>17}")
    for channels, blocks in SIZES:
        plain = Network(NetworkConfig(channels=channels, blocks=blocks))
        compiled = copy.deepcopy(plain)
        accelerate(compiled)
        shape = (BATCH, plain.config.bins, 1 + SAMPLES // 100)
        spectrum = [torch.rand(shape), (2 * torch.rand(shape) - 1) * torch.pi]
        turns = [[gradients(network, spectrum)[0] for network in (plain, compiled)] for _ in range(rounds + 1)][1:]
        slow, fast = (median(column) for column in zip(*turns, strict=True))
        found = [gradients(network, spectrum)[1] for network in (plain, compiled)]
        exact = gradients(plain.double(), [tensor.double() for tensor in spectrum])[1]
        errors = " ".join(f"{error(each, exact):8.0e}" for each in found)
        name = f"c={channels}, {blocks} blocks"
        print(f"{name:>12} {slow:>9.3f} {fast:>12.3f} {slow / fast:>6.1f}x {audio / fast:>17.1f} {errors}")


if __name__ == "__main__":
    main()
