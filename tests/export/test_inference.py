"""The inference form: the same function as the network that it is made of."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imse.export.inference import inference_form
from imse.nn import Network, NetworkConfig
from imse.nn.parts import ATTENTIONS, EMBEDDINGS


@torch.no_grad()
def random_network(config: NetworkConfig, seed: int, steepest: float) -> Network:
    """Every parameter random, those that start as ones and zeros as well; PReLU slopes up to `steepest`."""
    torch.manual_seed(seed)
    network = Network(config).double()
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    for module in network.modules():
        if isinstance(module, torch.nn.PReLU):
            module.weight.uniform_(-0.5, steepest)
    return network


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("attention", ATTENTIONS)
@settings(max_examples=5, deadline=None)
@given(
    channels=st.sampled_from([8, 16, 24]),
    blocks=st.integers(1, 2),
    bins=st.sampled_from([8, 24]),
    batch=st.integers(1, 2),
    frames=st.integers(1, 13),
    steepest=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 2**31),
)
@torch.no_grad()
def test_equals_the_network(
    attention: str,
    embedding: str,
    channels: int,
    blocks: int,
    bins: int,
    batch: int,
    frames: int,
    steepest: float,
    seed: int,
) -> None:
    config = NetworkConfig(channels=channels, blocks=blocks, bins=bins, attention=attention, embedding=embedding)
    network = random_network(config, seed, steepest)
    form = inference_form(network)
    magnitude, phase = torch.rand(2, batch, bins, frames, dtype=torch.float64)
    expected, expected_phase = network(magnitude, phase)
    enhanced, enhanced_phase = form(magnitude, phase)
    torch.testing.assert_close(enhanced, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        torch.polar(enhanced, enhanced_phase), torch.polar(expected, expected_phase), atol=1e-6, rtol=1e-6
    )


def test_the_network_is_left_as_it_was() -> None:
    network = Network(NetworkConfig(channels=8, blocks=1, bins=8)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    form = inference_form(network)
    assert not any(module.training for module in form.modules())
    assert all(module.training for module in network.modules())
    with torch.no_grad():
        for parameter in form.parameters():
            parameter.zero_()
    torch.testing.assert_close(dict(network.state_dict()), before, atol=0, rtol=0)
