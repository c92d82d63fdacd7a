"""Which modules use the kernels, when they use them, and what does not change."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from imse.export.inference import inference_form
from imse.nn import IMSE, Network, NetworkConfig
from imse.nn.dense import DenseBlock
from imse.train.kernels import accelerate
from imse.train.loop import Run
from imse.train.recipe import Recipe
from imse.train.trainer import make_fabric

pytestmark = pytest.mark.usefixtures("kernels")

FORWARD = {"convolution", "dense", "depthwise", "expand", "feed_forward", "idconv", "mala", "norm_prelu", "split_bins"}
SMALL = NetworkConfig(channels=8, blocks=1)


def networks(config: NetworkConfig = SMALL) -> tuple[Network, Network]:
    """A network in plain torch, and its accelerated copy."""
    torch.manual_seed(0)
    plain = Network(config)
    fast = copy.deepcopy(plain)
    accelerate(fast)
    return plain, fast


def spectrum(bins: int = 256) -> tuple[Tensor, Tensor]:
    magnitude, phase = torch.rand(2, 1, bins, 8, generator=torch.Generator().manual_seed(0))
    return magnitude, 6 * phase - 3


def test_a_training_step_uses_every_kernel(recipe: Recipe, called: list[str]) -> None:
    run = Run(recipe, make_fabric(recipe))
    try:
        run.trainer.train_step(0.0)
    finally:
        run.trainer.close()
    assert set(called) == FORWARD | {f"{name}_gradient" for name in FORWARD}


def test_no_part_of_imse_is_left_to_plain_torch(called: list[str]) -> None:
    """Of the default network, torch computes no convolution and no norm."""
    _, fast = networks(IMSE().config)
    with (
        patch.object(nn.Conv2d, "forward", side_effect=AssertionError),
        patch.object(nn.InstanceNorm2d, "forward", side_effect=AssertionError),
    ):
        fast(*spectrum())
    # 7 stages of 4 blocks; a dense block in the encoder and in each decoder.
    assert [called.count(name) for name in ("idconv", "mala", "feed_forward", "dense", "expand")] == [7, 28, 28, 3, 2]


def test_parameters_and_their_names_stay() -> None:
    network = Network(SMALL)
    state, parameters = network.state_dict(), list(network.parameters())
    accelerate(network)
    assert list(network.state_dict()) == list(state)
    assert all(now is before for now, before in zip(network.parameters(), parameters, strict=True))
    Network(SMALL).load_state_dict(network.state_dict())
    network.load_state_dict(state)


def copied(network: Network) -> nn.Module:
    return copy.deepcopy(network)


def pickled(network: Network) -> nn.Module:
    restored: nn.Module = pickle.loads(pickle.dumps(network))  # noqa: S301 - made here
    return restored


@pytest.mark.parametrize("copying", [copied, pickled, AveragedModel])
def test_a_copy_has_its_own_parameters(copying: Callable[[Network], nn.Module], called: list[str]) -> None:
    plain, fast = networks()
    twin = copying(fast)
    with torch.no_grad():
        for parameter in fast.parameters():
            parameter.zero_()
    for found, expected in zip(twin(*spectrum()), plain(*spectrum()), strict=True):
        torch.testing.assert_close(found.cos(), expected.cos(), atol=1e-3, rtol=0)
    assert "mala" in called


def test_the_inference_form_is_that_of_the_plain_network() -> None:
    forms = [inference_form(network) for network in networks()]
    assert list(forms[0].state_dict()) == list(forms[1].state_dict())
    for expected, found in zip(*(form(*spectrum()) for form in forms), strict=True):
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_without_kernels_nothing_is_changed() -> None:
    with patch("imse.train.kernels.accelerate.available", return_value=False):
        _, network = networks()
    assert [type(module) for module in network.modules()] == [type(module) for module in Network(SMALL).modules()]


class Case(NamedTuple):
    """A case that plain torch has to compute.

    Attributes:
        module: Changes the module, and returns it.
        maps: Changes its input.
        context: In which it is called.
    """

    module: Callable[[nn.Module], nn.Module] = lambda module: module
    maps: Callable[[Tensor], Tensor] = lambda maps: maps
    context: Callable[[], AbstractContextManager[object]] = nullcontext


PLAIN = {
    "evaluation": Case(module=lambda module: module.eval()),
    "no gradient": Case(context=torch.no_grad),
    "autocast": Case(context=lambda: torch.autocast("cpu", torch.bfloat16)),
    "torch.compile": Case(context=lambda: patch.object(torch.compiler, "is_compiling", lambda: True)),
    "24 bins": Case(maps=lambda maps: maps[..., :24]),
    "float64": Case(module=lambda module: module.double(), maps=lambda maps: maps.double()),
    "meta": Case(module=lambda module: module.to("meta"), maps=lambda maps: maps.to("meta")),
    "channels last": Case(module=lambda module: module.to(memory_format=torch.channels_last)),  # type: ignore[call-overload]
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_stays_plain(name: str, called: list[str]) -> None:
    case = PLAIN[name]
    torch.manual_seed(0)
    plain: nn.Module = DenseBlock(8)
    fast = copy.deepcopy(plain)
    accelerate(fast)
    maps = torch.randn(2, 8, 4, 32)
    torch.testing.assert_close(fast(maps), plain(maps))
    assert "dense" in called
    called.clear()
    plain, fast, maps = case.module(plain), case.module(fast), case.maps(maps)
    with case.context():
        found, expected = fast(maps), plain(maps)
    torch.testing.assert_close(found, expected)
    assert "dense" not in called


def test_mixed_precision_fails_as_in_plain_torch() -> None:
    block = DenseBlock(8)
    block.layers[3].double()
    accelerate(block)
    with pytest.raises(RuntimeError, match="type"):
        block(torch.randn(1, 8, 4, 32))


def test_inputs_may_have_any_layout(called: list[str]) -> None:
    plain: nn.Module = DenseBlock(8)
    fast = copy.deepcopy(plain)
    accelerate(fast)
    for maps in (torch.randn(2, 5, 8, 32).transpose(1, 2), torch.randn(2, 5, 32, 8).permute(0, 3, 1, 2)):
        torch.testing.assert_close(fast(maps), plain(maps))
    assert called == ["dense", "dense"]


CONVOLUTIONS = {
    "valid": nn.Conv2d(8, 8, 3),
    "even": nn.Conv2d(8, 8, 2, padding=1),
    "dilated": nn.Conv2d(8, 8, 3, padding=1, dilation=(2, 1)),
    "stride in time": nn.Conv2d(8, 8, (1, 3), stride=(2, 1), padding=(0, 1)),
    "stride, 3x3": nn.Conv2d(8, 8, 3, stride=(1, 2), padding=1),
    "grouped": nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False),
    "depthwise, bias": nn.Conv2d(8, 8, 3, padding=1, groups=8),
    "depthwise, 5x5": nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False),
    "reflecting": nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_other_convolutions_are_left_alone(kind: str) -> None:
    conv = copy.deepcopy(CONVOLUTIONS[kind])
    accelerate(conv)
    assert type(conv) is nn.Conv2d


def test_a_convolution_of_one_sample_without_batch(called: list[str]) -> None:
    conv = nn.Conv2d(8, 8, 3, padding=1)
    maps = torch.randn(8, 4, 32)
    expected = conv(maps)
    accelerate(conv)
    torch.testing.assert_close(conv(maps), expected, atol=0, rtol=0)
    assert called == []
    torch.testing.assert_close(conv(maps[None])[0], expected)
    assert called == ["convolution"]
