"""The compiled parts of the network against their plain torch in float64: outputs and all gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from imse.nn import Network, NetworkConfig, compiled
from imse.nn.convolution import Convolution
from imse.nn.decoders import Expand
from imse.nn.dense import ConvNormPReLU, DenseBlock
from imse.nn.idconv import IDConv
from imse.nn.mala import MALA
from imse.nn.rotary import rotary_table
from imse.nn.stage import Block


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    if reason := compiled.prepare():
        pytest.skip(f"the kernels cannot be compiled here: {reason}")


class _Turned(Block):
    """A block with the rotary table that it gets from the U-Net."""

    def forward(self, x: Tensor, table: Tensor | None = None) -> Tensor:
        return super().forward(x, rotary_table(x.shape[2], x.shape[3], 8, x).to(x) if table is None else table)


PARTS: dict[str, Callable[[int], nn.Module]] = {
    "dense block": DenseBlock,
    "dense block of one": lambda c: DenseBlock(c, depth=1),
    "block": lambda c: _Turned(c, MALA(c)),
    "idconv": IDConv,
    "expand": Expand,
    "conv, norm, prelu": lambda c: ConvNormPReLU(c, c + 3, (1, 3), padding=(0, 1)),
    "halving": lambda c: Convolution(c, c, (1, 3), stride=(1, 2), padding=(0, 1)),
    "3x3": lambda c: Convolution(c, c, 3, padding=1, bias=False),
    "1x1": lambda c: Convolution(c, 5, 1),
    "depthwise": lambda c: Convolution(c, c, 3, padding=1, groups=c, bias=False),
}


def plainly() -> Any:
    """In this context nothing is compiled."""
    return patch.object(compiled, "usable", lambda *_: False)


def results(module: nn.Module, inputs: list[Tensor], out: Callable[..., Tensor]) -> dict[str, Tensor]:
    """The output, and the gradients of some weighted sum of it by inputs and parameters."""
    module.zero_grad()
    inputs = [tensor.clone().requires_grad_() for tensor in inputs]
    y = out(*inputs)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y)
    torch.autograd.backward((y * weights).sum())
    found: dict[str, Tensor | None] = {"output": y.detach()}
    found |= {f"input {i}": tensor.grad for i, tensor in enumerate(inputs)}
    found |= {name: parameter.grad for name, parameter in module.named_parameters()}
    return {name: value.double().clone() for name, value in found.items() if value is not None}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    largest = max(float(value.norm()) for value in expected.values())
    for name, value in expected.items():
        # A bias before a norm has no gradient: whatever there is of it comes from rounding.
        norm = float(value.norm())
        scale = norm if norm > 1e-5 * largest else largest
        error = float((found[name] - value).norm()) / scale
        assert error < tolerance, f"{name}: {error:.1e} of {scale:.1e}"


def randomise(module: nn.Module) -> None:
    """Weights of norms and slopes other than those of a new module.

    The slopes are nearly 1, or what rounds to the other side of 0 would show more than a mistake does.
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
        found = results(module, [x], module)
    module.double()
    with plainly():
        expected = results(module, [x.double()], module)
    assert_same(found, expected, 1e-4)


@pytest.mark.parametrize("attention", ["mala", "met"])
def test_network(attention: str) -> None:
    """All of it, with as many frames as have to be filled up; MUSE's attention stays as it is."""
    torch.manual_seed(0)
    network = Network(NetworkConfig(channels=8, blocks=2, attention=attention))
    randomise(network)
    spectrum = [torch.rand(2, 256, 13), 3 * torch.rand(2, 256, 13)]

    def out(*inputs: Tensor) -> Tensor:
        # An angle's gradient has no bound where both its maps are nearly 0: any rounding would show.
        with patch.object(torch, "atan2", torch.add):
            magnitude, phase = network(*inputs)
        combined: Tensor = magnitude + phase
        return combined

    found = results(network, spectrum, out)
    network.double()
    with plainly():
        expected = results(network, [tensor.double() for tensor in spectrum], out)
    assert_same(found, expected, 1e-4)


def test_maps_need_not_be_contiguous() -> None:
    module = DenseBlock(8)
    x = torch.randn(2, 5, 8, 32).transpose(1, 2)
    found = results(module, [x], module)
    with plainly():
        assert_same(found, results(module, [x], module), 1e-4)


def test_what_stays_plain() -> None:
    module, maps = DenseBlock(8), torch.randn(1, 8, 4, 32)
    assert compiled.usable(module, maps)
    assert not compiled.usable(module.eval(), maps)
    module.train()
    assert not compiled.usable(module, maps.double())
    assert not compiled.usable(module, maps.to("meta"))
    assert not compiled.usable(module, maps[..., :24])
    assert not compiled.usable(module, maps[..., :16], 2)
    with torch.no_grad():
        assert not compiled.usable(module, maps)
    with torch.autocast("cpu", torch.bfloat16):
        assert not compiled.usable(module, maps)
