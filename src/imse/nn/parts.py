"""The two parts in which the networks of the family differ, by the names that `NetworkConfig` gives them.

Another kind is one class and one line here.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from imse.nn.deformable import DeformableEmbedding
from imse.nn.idconv import IDConv
from imse.nn.mala import MALA
from imse.nn.met import MET

# What opens a stage: built from its width c, maps [B, c, T, F] to [B, c, T, F].
EMBEDDINGS: dict[str, Callable[[int], nn.Module]] = {"idconv": IDConv, "de": DeformableEmbedding}

# What a block attends with: built from its width c and its level in the U-Net (0 at the full resolution), maps
# (x [B, c, T, F], rotary table of the level) to [B, c, T, F].
ATTENTIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "mala": lambda channels, _level: MALA(channels),
    "met": lambda channels, level: MET(channels, heads=(1, 2, 8)[level]),
}
