"""The numbers that all networks of the family share, whatever their `NetworkConfig`.

The compiled code states them in ``native/common/architecture.h``.
"""

from __future__ import annotations

LEVELS = 3
"""Resolutions of the U-Net; each has half the frames and bins of the one before."""

HEAD_SIZE = 8
"""Channels d of one head of MALA; every width of the network is a multiple of it."""

BRANCH_DIVISOR = 8
"""Each of the three convolved branches of IDConv has this fraction of the channels."""

BAND = 11
"""Taps of the two band kernels of IDConv."""

LEPE_SIZE = 5
"""Frames and bins of the kernel of LePE, the local embedding of MALA."""

ROTARY_BASE = 10_000.0
"""The slowest pair of channels of the rotary embedding turns this many times slower than the fastest."""

MASK_CEILING = 2.0
"""The largest mask that the magnitude decoder can give."""

FEED_FORWARD_FACTOR = 2.66
"""Hidden channels of the feed-forward network for each of its input channels; the product is rounded down."""

DENSE_DEPTH = 4
"""Layers of a dense block."""

NORM_EPSILON = 1e-5
"""Added to the variance in instance norms and channel norms."""

ATTENTION_EPSILON = 1e-6
"""Added to what an attention divides by."""
