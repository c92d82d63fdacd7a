"""The network in torch: safetensors and published weights directly, and an accelerator where there is one."""

from __future__ import annotations

from pathlib import Path

import torch

from imse.checkpoint import load
from imse.spectrum import Floats


class TorchEngine:
    """A checkpoint that `imse.checkpoint.load` opens.

    Args:
        weights: The file.
        threads: Processor threads that torch uses.
        device: Where it runs; an accelerator if there is one by default.

    Raises:
        CheckpointError: The file is not one.
    """

    def __init__(self, weights: Path, threads: int = 1, device: str | None = None) -> None:
        torch.set_num_threads(threads)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = load(weights).to(self._device)
        self.batch = 1 if self._device.type == "cpu" else 32

    @torch.inference_mode()
    def __call__(self, magnitude: Floats, phase: Floats) -> tuple[Floats, Floats]:
        """See `imse.engine.Engine`."""
        inputs = [torch.from_numpy(array).to(self._device, non_blocking=True) for array in (magnitude, phase)]
        enhanced_magnitude, enhanced_phase = self._network(*inputs)
        return enhanced_magnitude.cpu().numpy(), enhanced_phase.cpu().numpy()
