"""What a network costs: parameters, multiply-accumulates and time, for each part of it."""

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

FRAMES_PER_SECOND = 160
# A segment of training and of the authors' inference: 308 frames, 30,700 samples at 16 kHz.
_SEGMENT_FRAMES, _SEGMENT_SECONDS = 308, 30_700 / 16_000

# The parts by the names of their modules. Together they are the whole network.
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
        products: Those of its other matrix products, and of the sums over displacements of a deformable convolution.
    """

    parameters: int
    convolutions: int
    products: int

    @property
    def gmacs(self) -> float:
        """Billions of multiply-accumulates per second of audio."""
        return (self.convolutions + self.products) / 1e9


def costs(config: NetworkConfig) -> dict[str, Cost]:
    """Cost of every part of a network, counted while one second of audio passes through it without being computed.

    Element-wise operations (norms, activations, rotations) are left out, as is usual.

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
    """Bytes of a network's parameters in float32, as they lie in memory and in a file."""
    with torch.device("meta"):
        return sum(tensor.numel() * tensor.element_size() for tensor in Network(config).state_dict().values())


@torch.inference_mode()
def real_time_factors(configs: Sequence[NetworkConfig], rounds: int = 3) -> list[float]:
    """Seconds of processor time per second of audio of each network, on one thread.

    A segment of 308 frames passes through each network in turn, so that whatever else slows the machine down meets
    all of them alike.

    Args:
        configs: The networks.
        rounds: Turns; the median is returned.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        networks = [Network(config).eval() for config in configs]
        turns = [[_seconds(network) for network in networks] for _ in range(rounds + 1)][1:]  # the first warms up
        return [median(column) / _SEGMENT_SECONDS for column in zip(*turns, strict=True)]
    finally:
        torch.set_num_threads(threads)


def _seconds(network: Network) -> float:
    magnitude: Tensor = torch.rand(1, network.config.bins, _SEGMENT_FRAMES)
    start = time.process_time()
    network(magnitude, magnitude)
    return time.process_time() - start
