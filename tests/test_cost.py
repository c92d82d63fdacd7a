"""The counts of parameters and multiply-accumulates, against torch's and what can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from imse.cost import FRAMES_PER_SECOND, Cost, costs, real_time_factors, shapes_of
from imse.errors import ImseError
from imse.nn import IMSE, MUSE, Network, NetworkConfig

POSITIONS = FRAMES_PER_SECOND * 128
FAMILY = [
    NetworkConfig(channels, blocks, bins, attention, embedding)
    for (channels, blocks, bins), attention, embedding in product(
        [(16, 4, 256), (8, 1, 64)], ["mala", "met"], ["idconv", "de"]
    )
]


def addcmul_flops(*_shapes: Any, out_shape: Sequence[int], **_options: Any) -> int:
    return 2 * int(torch.Size(out_shape).numel())


@pytest.mark.parametrize("config", FAMILY, ids=str)
def test_torch_counts_the_same(config: NetworkConfig) -> None:
    """In a forward of one second; torch counts a multiply-accumulate as two operations."""
    spectrum = torch.empty(1, config.bins, FRAMES_PER_SECOND, device="meta")
    with torch.device("meta"):
        network = Network(config)
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addcmul: addcmul_flops})
    with torch.no_grad(), counter:
        network(spectrum, spectrum)
    counted = {what: flops // 2 for what, flops in counter.get_flop_counts()["Global"].items()}
    convolutions = counted.pop(torch.ops.aten.convolution)
    parameters = sum(p.numel() for p in network.parameters())
    assert costs(shapes_of(config))["total"] == Cost(parameters, convolutions, sum(counted.values()))


@pytest.mark.parametrize("config", [IMSE().config, MUSE().config])
def test_the_parts_are_the_whole(config: NetworkConfig) -> None:
    parts = costs(shapes_of(config))
    total = parts.pop("total")
    assert total == Cost(*(sum(column) for column in zip(*parts.values(), strict=True)))


@pytest.mark.parametrize("name", ["unet.other", "unet.latent.blocks.0.attention.temperature"])
def test_tensors_of_something_else(name: str) -> None:
    with pytest.raises(ImseError, match="not the weights of a network of this family"):
        costs({**shapes_of(IMSE().config), name: [0]})
    with pytest.raises(ImseError, match="not the weights of a network of this family"):
        costs({name: [1]})


def test_the_count_of_the_published_network() -> None:
    """4.41 GMAC of convolutions per second; the half of the decoders' expansions that is not computed here is less."""
    parts = costs(shapes_of(IMSE().config))
    expansions = 2 * 16 * 32 * POSITIONS
    assert (parts["total"].convolutions + expansions) / 1e9 == pytest.approx(4.41, abs=0.005)
    assert parts["dense encoder"].gmacs == pytest.approx(0.96, abs=0.005)
    decoders = parts["magnitude decoder"].gmacs + parts["phase decoder"].gmacs
    assert decoders == pytest.approx(0.94 + 0.03, abs=0.005)  # dense blocks, and what follows them


def test_attention_products() -> None:
    """MALA: per channel and position, 8 for K^T V, 8 for q (K^T V) and 1 for z; 4 blocks in each stage."""
    widths_positions = [(16, 4 * POSITIONS), (32, 2 * POSITIONS / 4), (48, POSITIONS / 16)]
    by_hand = sum(4 * 17 * width * positions for width, positions in widths_positions)
    assert costs(shapes_of(IMSE().config))["attention"].products == by_hand


def test_deformable_products() -> None:
    """Per channel and position, 81 for the coefficients (nine for each of nine taps) and 25 to sum up."""
    widths_positions = [(16, 4 * POSITIONS), (32, 2 * POSITIONS / 4), (48, POSITIONS / 16)]
    by_hand = sum((81 + 25) * width * positions for width, positions in widths_positions)
    assert costs(shapes_of(MUSE().config))["embeddings"].products == by_hand


def test_real_time_factors() -> None:
    small = NetworkConfig(channels=8, blocks=1)
    threads = torch.get_num_threads()
    factors = real_time_factors([small, replace(small, attention="met")], rounds=1)
    assert len(factors) == 2
    assert min(factors) > 0
    assert torch.get_num_threads() == threads
