"""Accelerated parts of the network against plain torch in float64: outputs and all gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from imse.nn import Network, NetworkConfig
from imse.nn.constants import HEAD_SIZE
from imse.nn.decoders import Expand
from imse.nn.dense import ConvNormPReLU, DenseBlock
from imse.nn.idconv import IDConv
from imse.nn.mala import MALA
from imse.nn.rotary import rotary_table
from imse.nn.stage import Block
from imse.train.kernels import accelerate

pytestmark = pytest.mark.usefixtures("kernels")


class BlockAndTable(nn.Module):
    """A block with the rotary table that the U-Net would give it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = Block(channels, MALA(channels))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x, rotary_table(x.shape[2], x.shape[3], HEAD_SIZE, like=x).to(x))
        return y


PARTS: dict[str, Callable[[int], nn.Module]] = {
    "dense block": DenseBlock,
    "block": BlockAndTable,
    "idconv": IDConv,
    "expand": Expand,
    "conv, norm, prelu": lambda c: ConvNormPReLU(c, c + 3, (1, 3), padding=(0, 1)),
    "halving": lambda c: nn.Conv2d(c, c, (1, 3), stride=(1, 2), padding=(0, 1)),
    "3x3": lambda c: nn.Conv2d(c, c, 3, padding=1, bias=False),
    "1x1": lambda c: nn.Conv2d(c, 5, 1),
    "depthwise": lambda c: nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False),
}


def accelerated(module: nn.Module) -> nn.Module:
    fast = copy.deepcopy(module)
    accelerate(fast)
    return fast


def results(module: nn.Module, inputs: list[Tensor]) -> dict[str, Tensor]:
    """The output, and the gradients of a weighted sum of it by inputs and parameters."""
    inputs = [tensor.clone().requires_grad_() for tensor in inputs]
    y = module(*inputs)
    if isinstance(y, tuple):
        y = y[0] + y[1]
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y)
    torch.autograd.backward((y * weights).sum())
    found: dict[str, Tensor | None] = {"output": y.detach()}
    found |= {f"input {i}": tensor.grad for i, tensor in enumerate(inputs)}
    found |= {name: parameter.grad for name, parameter in module.named_parameters()}
    return {name: value.double() for name, value in found.items() if value is not None}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    largest = max(float(value.norm()) for value in expected.values())
    for name, value in expected.items():
        # The gradient of a bias before a norm is zero but for rounding.
        norm = float(value.norm())
        scale = norm if norm > 1e-5 * largest else largest
        error = float((found[name] - value).norm()) / scale
        assert error < tolerance, f"{name}: {error:.1e} of {scale:.1e}"


def randomise(module: nn.Module) -> None:
    """Make weights of norms and slopes differ from those of a new module.

    The slopes stay close to 1: otherwise values that round to the other side of 0 would cost more than the tolerance.
    """
    with torch.no_grad():
        for child in module.modules():
            for parameter in child.parameters(recurse=False):
                if isinstance(child, nn.PReLU):
                    parameter.uniform_(0.996, 1.004)
                elif parameter.ndim == 1:
                    parameter.uniform_(-0.5, 1.0)


@pytest.mark.parametrize("part", PARTS)
@settings(max_examples=12, deadline=None)
@given(
    channels=st.sampled_from([8, 16, 24]),
    frames=st.integers(1, 21),
    bins=st.sampled_from([32, 64, 96, 128]),
    batch=st.integers(1, 3),
    threads=st.integers(1, 2),
    seed=st.integers(0, 2**31),
)
def test_part(part: str, channels: int, frames: int, bins: int, batch: int, threads: int, seed: int) -> None:
    torch.manual_seed(seed)
    module = PARTS[part](channels)
    randomise(module)
    x = torch.randn(batch, channels, frames, bins)
    with patch.object(torch, "get_num_threads", lambda: threads):
        found = results(accelerated(module), [x])
    assert_same(found, results(module.double(), [x.double()]), 1e-4)


@pytest.mark.parametrize(("attention", "embedding"), [("mala", "idconv"), ("met", "de")])
def test_network(attention: str, embedding: str) -> None:
    """A whole network, with a number of frames that has to be padded."""
    torch.manual_seed(0)
    network = Network(NetworkConfig(channels=8, blocks=2, attention=attention, embedding=embedding))
    randomise(network)
    spectrum = [torch.rand(2, 256, 13), 3 * torch.rand(2, 256, 13)]
    # The gradient of an angle has no bound where both its maps are nearly 0, and would amplify any rounding.
    with patch.object(torch, "atan2", torch.add):
        found = results(accelerated(network), spectrum)
        expected = results(network.double(), [tensor.double() for tensor in spectrum])
    assert_same(found, expected, 1e-4)
