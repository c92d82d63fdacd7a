"""The cost of a network, in whole and by part: parameters, multiply-accumulates and time."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from imse.nn.config import NetworkConfig
from imse.nn.network import Network
from imse.signal.segments import SEGMENT
from imse.signal.spectrum import HOP_LENGTH, SAMPLE_RATE

FRAMES_PER_SECOND = SAMPLE_RATE // HOP_LENGTH

# Patterns of the modules' names. Together the parts are the whole network.
_PARTS = {
    "dense encoder": r"encoder",
    "embeddings": r"unet\.\w+\.embedding",
    "attention": r"unet\.\w+\.blocks\.\d+\.attention",
    "feed-forward, norms": r"unet\.\w+\.blocks\.\d+\.(ffn|norm\d)",
    "resampling, skips": r"unet\.(down\d|up\d|reduce\d|magnitude_out|phase_out)",
    "magnitude decoder": r"magnitude_decoder",
    "phase decoder": r"phase_decoder",
}


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


def costs(config: NetworkConfig) -> dict[str, Cost]:
    """Cost of every part of a network, counted in a forward on torch's meta device for one second of audio.

    As is usual, element-wise operations (norms, activations, rotations) are not counted.

    Returns:
        Cost by part, and of all parts together under "total".
    """
    spectrum = torch.empty(1, config.bins, FRAMES_PER_SECOND, device="meta")
    with torch.device("meta"):
        network = Network(config)
    # torch counts a multiply-accumulate as two operations.
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addcmul: _addcmul_flops})
    with torch.no_grad(), counter:
        network(spectrum, spectrum)
    counted = counter.get_flop_counts()

    parts = {part: Cost(0, 0, 0) for part in _PARTS}
    for name, module in network.named_modules():
        for part, pattern in _PARTS.items():
            if re.fullmatch(pattern, name):
                operations = counted.get(f"{type(network).__name__}.{name}", {})
                macs = {operation: flops // 2 for operation, flops in operations.items()}
                convolutions = macs.pop(torch.ops.aten.convolution, 0)
                parameters = sum(parameter.numel() for parameter in module.parameters())
                found = (parameters, convolutions, sum(macs.values()))
                parts[part] = Cost(*(a + b for a, b in zip(parts[part], found, strict=True)))
    return {**parts, "total": Cost(*(sum(column) for column in zip(*parts.values(), strict=True)))}


def _addcmul_flops(shape: Sequence[int], *_shapes: Any, out_shape: Sequence[int], **_options: Any) -> int:  # noqa: ARG001
    return 2 * int(torch.Size(out_shape).numel())


def state_bytes(config: NetworkConfig) -> int:
    """Bytes of a network's parameters in float32."""
    with torch.device("meta"):
        return sum(tensor.numel() * tensor.element_size() for tensor in Network(config).state_dict().values())


@torch.inference_mode()
def real_time_factors(configs: Sequence[NetworkConfig], rounds: int = 3) -> list[float]:
    """Seconds of processor time per second of audio of each network, on one thread.

    The networks are timed in turns on a segment of 308 frames, so that other load on the machine affects all equally.

    Args:
        configs: The networks.
        rounds: Number of turns; their median is returned.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        networks = [Network(config).eval() for config in configs]
        turns = [[_seconds(network) for network in networks] for _ in range(rounds + 1)][1:]  # the first warms up
        return [median(column) / (SEGMENT / SAMPLE_RATE) for column in zip(*turns, strict=True)]
    finally:
        torch.set_num_threads(threads)


def _seconds(network: Network) -> float:
    magnitude: Tensor = torch.rand(1, network.config.bins, 1 + SEGMENT // HOP_LENGTH)
    start = time.process_time()
    network(magnitude, magnitude)
    return time.process_time() - start
