"""The embeddings and attentions that a network can be built with, by their names in `NetworkConfig`.

To add one, write its class and add a line here.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from imse.nn.deformable import DeformableEmbedding
from imse.nn.idconv import IDConv
from imse.nn.mala import MALA
from imse.nn.met import MET

# Embeddings: built from the channels c of a stage; they map [B, c, T, F] to [B, c, T, F].
EMBEDDINGS: dict[str, Callable[[int], nn.Module]] = {"idconv": IDConv, "de": DeformableEmbedding}

# Attentions: built from the channels c of a block and its level in the U-Net (0 is the full resolution); they map
# (x [B, c, T, F], rotary table of the level) to [B, c, T, F].
ATTENTIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "mala": lambda channels, _level: MALA(channels),
    "met": lambda channels, level: MET(channels, heads=(1, 2, 8)[level]),
}
