"""The network in torch: safetensors and published weights directly, and an accelerator where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from imse.checkpoint import load
from imse.engine.interface import Enhanced
from imse.errors import ImseError
from imse.nn import Network
from imse.nn.spectrum import analyse, synthesise
from imse.signal.spectrum import BINS, Floats


class TorchEngine:
    """A network in evaluation mode, or a checkpoint that `imse.checkpoint.load` opens.

    Args:
        weights: The file, or the network.
        threads: Processor threads that torch uses.
        device: Where it runs; an accelerator if there is one by default.
        precision: What the network computes in, by autocast: float32, or bfloat16 for speed on an accelerator. The
            transforms are float32 in any case.
        name: What errors call the network, if it is given itself and not as a file.

    Raises:
        CheckpointError: The file is not one.
        ImseError: The network has another number of bins than the spectrum.
    """

    def __init__(
        self,
        weights: Path | Network,
        threads: int = 1,
        device: torch.device | str | None = None,
        precision: torch.dtype = torch.float32,
        name: str = "a network in memory",
    ) -> None:
        self.name = name if isinstance(weights, Network) else str(weights)
        torch.set_num_threads(threads)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = (weights if isinstance(weights, Network) else load(weights)).to(self._device)
        if (bins := self._network.config.bins) != BINS:
            raise ImseError(f"{self.name}: a network of {bins} bins; the spectrum has {BINS}")
        self._precision = precision
        # What an accelerator is given at once keeps it busy for long; it is waited for only once a batch.
        self.batch = 1 if self._device.type == "cpu" else 32

    @torch.inference_mode()
    def __call__(self, waveform: Floats) -> Enhanced:
        """See `imse.engine.interface.Engine`."""
        noisy, phase = analyse(torch.from_numpy(waveform).to(self._device))
        with torch.autocast(self._device.type, self._precision, enabled=self._precision != torch.float32):
            magnitude, enhanced_phase = (part.float() for part in self._network(noisy, phase))
        enhanced = synthesise(magnitude, enhanced_phase, waveform.shape[1])
        return Enhanced(*(tensor.cpu().numpy() for tensor in (enhanced, noisy, magnitude)))


if hasattr(os, "register_at_fork"):
    # OpenMP's threads are not in a forked process, and with more than one it would wait for them for ever.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
