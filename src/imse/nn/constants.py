"""What every network of the family has in common, whatever its `NetworkConfig`.

The compiled code states the same numbers in ``native/common/architecture.h``.
"""

from __future__ import annotations

HEAD_SIZE = 8
"""Channels d of one head of MALA; every width of the network is a multiple of it."""

BAND = 11
"""Taps of the two band kernels of IDConv."""

FEED_FORWARD_FACTOR = 2.66
"""Hidden channels of the feed-forward network for each of its input channels; the product is rounded down."""

DENSE_DEPTH = 4
"""Layers of a dense block."""

NORM_EPSILON = 1e-5
"""Added to the variance in instance norms and channel norms."""
