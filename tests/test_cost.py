"""The counts of parameters and multiply-accumulates, against what can be counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from imse.cost import FRAMES_PER_SECOND, Cost, costs, real_time_factors, state_bytes
from imse.nn import IMSE, MUSE, Network, NetworkConfig

POSITIONS = FRAMES_PER_SECOND * 128


@pytest.mark.parametrize("config", [IMSE().config, MUSE().config])
def test_the_parts_are_the_whole(config: NetworkConfig) -> None:
    parts = costs(config)
    total = parts.pop("total")
    assert total == Cost(*(sum(column) for column in zip(*parts.values(), strict=True)))
    assert total.parameters == sum(p.numel() for p in Network(config).parameters())


def test_the_count_of_the_published_network() -> None:
    """4.41 GMAC of convolutions per second; the half of the decoders' expansions that is not computed here is less."""
    parts = costs(IMSE().config)
    expansions = 2 * 16 * 32 * POSITIONS
    assert (parts["total"].convolutions + expansions) / 1e9 == pytest.approx(4.41, abs=0.005)
    assert parts["dense encoder"].gmacs == pytest.approx(0.96, abs=0.005)
    decoders = parts["magnitude decoder"].gmacs + parts["phase decoder"].gmacs
    assert decoders == pytest.approx(0.94 + 0.03, abs=0.005)  # dense blocks, and what follows them


def test_attention_products() -> None:
    """MALA: per channel and position, 8 for K^T V, 8 for q (K^T V) and 1 for z; 4 blocks in each stage."""
    widths_positions = [(16, 4 * POSITIONS), (32, 2 * POSITIONS / 4), (48, POSITIONS / 16)]
    by_hand = sum(4 * 17 * width * positions for width, positions in widths_positions)
    assert costs(IMSE().config)["attention"].products == by_hand


def test_deformable_products() -> None:
    """Per channel and position, 81 for the coefficients (nine for each of nine taps) and 25 to sum up."""
    widths_positions = [(16, 4 * POSITIONS), (32, 2 * POSITIONS / 4), (48, POSITIONS / 16)]
    by_hand = sum((81 + 25) * width * positions for width, positions in widths_positions)
    assert costs(MUSE().config)["embeddings"].products == by_hand


def test_state() -> None:
    assert state_bytes(IMSE().config) == 4 * 431_388


def test_real_time_factors() -> None:
    small = NetworkConfig(channels=8, blocks=1)
    threads = torch.get_num_threads()
    factors = real_time_factors([small, replace(small, attention="met")], rounds=1)
    assert len(factors) == 2
    assert min(factors) > 0
    assert torch.get_num_threads() == threads
