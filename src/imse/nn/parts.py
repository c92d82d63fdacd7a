"""The embeddings and attentions that a network can be built with, by their names in `NetworkConfig`.

To add one, write its class, a function that builds it, and a line in the table below. Recipes are checked against the
names before torch is imported, so each function imports its class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def _idconv(channels: int) -> nn.Module:
    from imse.nn.idconv import IDConv

    return IDConv(channels)


def _deformable(channels: int) -> nn.Module:
    from imse.nn.deformable import DeformableEmbedding

    return DeformableEmbedding(channels)


def _mala(channels: int, _level: int) -> nn.Module:
    from imse.nn.mala import MALA

    return MALA(channels)


def _met(channels: int, level: int) -> nn.Module:
    from imse.nn.met import MET

    return MET(channels, heads=(1, 2, 8)[level])


# Embeddings: built from the channels c of a stage; they map [B, c, T, F] to [B, c, T, F].
EMBEDDINGS: dict[str, Callable[[int], nn.Module]] = {"idconv": _idconv, "de": _deformable}

# Attentions: built from the channels c of a block and its level in the U-Net (0 is the full resolution); they map
# (x [B, c, T, F], rotary table of the level) to [B, c, T, F].
ATTENTIONS: dict[str, Callable[[int, int], nn.Module]] = {"mala": _mala, "met": _met}
