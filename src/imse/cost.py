"""The cost of a network, in whole and by part: parameters and multiply-accumulates from shapes, and measured time.

What is counted follows from names and shapes of tensors, so that a weights file can be described without torch.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from imse.errors import ImseError
from imse.nn.constants import HEAD_SIZE
from imse.signal.segments import SEGMENT
from imse.signal.spectrum import HOP_LENGTH, SAMPLE_RATE

if TYPE_CHECKING:
    from imse.nn import Network, NetworkConfig

FRAMES_PER_SECOND = SAMPLE_RATE // HOP_LENGTH

Shapes = Mapping[str, Sequence[int]]
"""Shapes of a network's tensors by their names in `imse.nn.Network.state_dict`."""

# Patterns of the tensors' names. Together the parts are the whole network.
_PARTS = {
    "dense encoder": r"encoder\..+",
    "embeddings": r"unet\.\w+\.embedding\..+",
    "attention": r"unet\.\w+\.blocks\.\d+\.attention\..+",
    "feed-forward, norms": r"unet\.\w+\.blocks\.\d+\.(ffn|norm\d)\..+",
    "resampling, skips": r"unet\.(down\d|up\d|reduce\d|magnitude_out|phase_out)\..+",
    "magnitude decoder": r"magnitude_decoder\..+",
    "phase decoder": r"phase_decoder\..+",
}
# Positions at which the tensors of a part are applied: one in so many of the spectrum's. The first match counts.
_SPARSITY = (
    (r"encoder\.(entry|dense)\.", 1),
    (r"encoder\.halve\.|\w+_decoder\.(dense|expand\.expand)\.", 2),
    (r"\w+_decoder\.", 1),
    (r"unet\.(encoder1|down1|decoder1|reduce1|refine_\w+|\w+_out)\.", 2),
    (r"unet\.(encoder2|down2|decoder2|reduce2|up1)\.", 8),
    (r"unet\.(latent|up2)\.", 32),
)


class Cost(NamedTuple):
    """Cost of a part.

    Attributes:
        parameters: Trainable parameters.
        convolutions: Multiply-accumulates of its convolutions, per second of audio.
        products: Multiply-accumulates of its other matrix products and of deformable convolutions.
    """

    parameters: int
    convolutions: int
    products: int

    @property
    def gmacs(self) -> float:
        """Billions of multiply-accumulates per second of audio."""
        return (self.convolutions + self.products) / 1e9


def costs(shapes: Shapes) -> dict[str, Cost]:
    """Cost of every part of a network, for one second of audio.

    As is usual, element-wise operations (norms, activations, rotations) are not counted.

    Returns:
        Cost by part, and of all parts together under "total".

    Raises:
        ImseError: The tensors are not those of a network of this family. The message does not name the file.
    """
    try:
        bins = shapes["magnitude_decoder.sigmoid.slope"][0]
        parts = {part: Cost(0, 0, 0) for part in _PARTS}
        for name in shapes:
            part = next(part for part, pattern in _PARTS.items() if re.fullmatch(pattern, name))
            every = next(every for pattern, every in _SPARSITY if re.match(pattern, name))
            found = _cost(name, shapes, bins * FRAMES_PER_SECOND // every)
            parts[part] = Cost(*(a + b for a, b in zip(parts[part], found, strict=True)))
    except (IndexError, KeyError, StopIteration, ZeroDivisionError) as error:
        raise ImseError("not the weights of a network of this family") from error
    return {**parts, "total": Cost(*(sum(column) for column in zip(*parts.values(), strict=True)))}


def _cost(name: str, shapes: Shapes, positions: int) -> Cost:
    """Cost of one tensor, and of the products without tensors that are told by it."""
    shape = shapes[name]
    size = math.prod(shape)
    if name.endswith(".embedding.deformable.weight"):
        # For a channel and position nine coefficients for each of nine taps, and 25 values to sum up.
        return Cost(size, 0, (9 * 9 + 25) * shape[0] * positions)
    if name.endswith(".attention.temperature"):  # of MET: keys by values, queries by that, and the denominator
        channels = shapes[name.removesuffix("temperature") + "proj.weight"][0]
        return Cost(size, 0, (2 * (channels // shape[0]) + 1) * channels * positions)
    convolutions = size * positions if len(shape) == 4 else 0
    if name.endswith(".expand.expand.weight"):
        convolutions //= 2  # see `imse.nn.decoders.Expand`: half of it has no effect
    if name.endswith(".attention.channel.weight"):
        convolutions = size  # of the mean over all positions
    products = (2 * HEAD_SIZE + 1) * shape[1] * positions if name.endswith(".attention.qkvo.weight") else 0
    return Cost(size, convolutions, products)


def shapes_of(config: NetworkConfig) -> Shapes:
    """Shapes of the tensors of a network, which gets no memory for them."""
    import torch

    from imse.nn import Network

    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Network(config).state_dict().items()}


def real_time_factors(configs: Sequence[NetworkConfig], rounds: int = 3) -> list[float]:
    """Seconds of processor time per second of audio of each network, on one thread.

    The networks are timed in turns on a segment of 308 frames, so that other load on the machine affects all equally.

    Args:
        configs: The networks.
        rounds: Number of turns; their median is returned.
    """
    import torch

    from imse.nn import Network

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            networks = [Network(config).eval() for config in configs]
            turns = [[_seconds(network) for network in networks] for _ in range(rounds + 1)][1:]  # the first warms up
        return [median(column) / (SEGMENT / SAMPLE_RATE) for column in zip(*turns, strict=True)]
    finally:
        torch.set_num_threads(threads)


def _seconds(network: Network) -> float:
    import torch

    magnitude = torch.rand(1, network.config.bins, 1 + SEGMENT // HOP_LENGTH)
    start = time.process_time()
    network(magnitude, magnitude)
    return time.process_time() - start
