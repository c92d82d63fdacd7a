"""A deeper network that starts from what a shallower one has learned."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from imse.nn import Network
from imse.nn.stage import Stage


@torch.no_grad()
def deepen(network: Network, blocks: int) -> Network:
    """The same function with more blocks in each stage, to go on training (Net2Net, Chen et al., arXiv 1511.05641).

    The new blocks come last in their stage. The projections that end their two branches are zero, so that at first they
    pass on what they are given; all else in them is random, and they learn from the first step on.

    Args:
        network: A trained network; it is not changed.
        blocks: Blocks per stage, at least as many as it has.
    """
    had = network.config.blocks
    deeper = Network(replace(network.config, blocks=blocks))
    deeper.load_state_dict(network.state_dict(), strict=False)
    for stage in deeper.modules():
        if isinstance(stage, Stage):
            for block in list(stage.blocks)[had:]:
                for ending in (block.attention.proj, block.ffn.project_out):  # type: ignore[union-attr]
                    assert isinstance(ending, nn.Conv2d)
                    for parameter in ending.parameters():
                        parameter.zero_()
    return deeper
