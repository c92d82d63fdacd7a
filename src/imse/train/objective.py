"""The objective of one batch: spectra in, weighted terms out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from imse.nn.spectrum import analyse, compress, stft, synthesise
from imse.signal.spectrum import COMPRESSION
from imse.train import losses
from imse.train.intelligibility import IntelligibilityLoss
from imse.train.mixing import Batch
from imse.train.perceptual import PerceptualLoss
from imse.train.recipe import LossConfig

Forward = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
PowerLoss = Callable[[Tensor, Tensor], Tensor]  # of the power spectra [B, bins, T] of estimate and target


@dataclass(frozen=True)
class Spectra:
    """Spectra of a batch.

    Attributes:
        noisy: Compressed magnitude and phase of the input, [B, bins, T] each.
        clean: The same of the target.
        estimate: The same of the estimate.
        clean_stft: Complex spectrum of the target [B, bins, T], not compressed.
    """

    noisy: tuple[Tensor, Tensor]
    clean: tuple[Tensor, Tensor]
    estimate: tuple[Tensor, Tensor]
    clean_stft: Tensor


def estimate(network: Forward, batch: Batch) -> Spectra:
    """Run the network on a batch; its output is float32 whatever precision it computes in."""
    with torch.no_grad():
        noisy, clean_stft = analyse(batch.noisy), stft(batch.clean)
        clean = compress(clean_stft)
    magnitude, phase = network(*noisy)
    return Spectra(noisy, clean, (magnitude.float(), phase.float()), clean_stft)


class Objective:
    """The weighted terms of the loss without the metric term, which needs the discriminator.

    Args:
        config: Weights; a term of weight 0 is not computed.
        device: Where batches are.
    """

    def __init__(self, config: LossConfig, device: torch.device) -> None:
        self._config = config
        self._of_power: dict[str, PowerLoss] = {}
        if config.perceptual:
            self._of_power["perceptual"] = PerceptualLoss().to(device)
        if config.intelligibility:
            self._of_power["intelligibility"] = IntelligibilityLoss().to(device)
        if config.level:
            self._of_power["level"] = losses.level_loss

    def __call__(self, spectra: Spectra, batch: Batch, waveform: Tensor | None = None) -> dict[str, Tensor]:
        """Unweighted terms by the name of their weight in `LossConfig`.

        Args:
            spectra: What `estimate` returned.
            batch: What it was given.
            waveform: What the estimate synthesises to [B, samples], if that is already known.
        """
        config = self._config
        estimated, clean = losses.cartesian(*spectra.estimate), losses.cartesian(*spectra.clean)
        terms: dict[str, Tensor] = {}
        if config.magnitude:
            terms["magnitude"] = losses.magnitude_loss(spectra.estimate[0], spectra.clean[0])
        if config.phase:
            terms["phase"] = losses.phase_loss(spectra.estimate[1], spectra.clean[1])
        if config.complex:
            terms["complex"] = losses.complex_loss(estimated, clean)
        if not (config.consistency or config.si_sdr or self._of_power):
            return terms
        if waveform is None:
            waveform = synthesise(*spectra.estimate, batch.noisy.shape[-1])
        if config.si_sdr:
            terms["si_sdr"] = losses.si_sdr_loss(waveform, batch.clean)
        if config.consistency or self._of_power:
            spectrum = stft(waveform)
            power = _power(spectrum)
            if config.consistency:
                scale = (power + 1e-8) ** ((COMPRESSION - 1) / 2)  # the magnitude 1e-4 is as good as none
                again = torch.stack([spectrum.real * scale, spectrum.imag * scale], dim=1)
                terms["consistency"] = losses.consistency_loss(estimated, again)
            if self._of_power:
                clean_power = _power(spectra.clean_stft)
                terms |= {name: loss(power, clean_power) for name, loss in self._of_power.items()}
        return terms

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """Weighted sum of terms."""
        return torch.stack([getattr(self._config, name) * term for name, term in terms.items()]).sum()


def _power(spectrum: Tensor) -> Tensor:
    """Power of a complex spectrum, of its shape."""
    return spectrum.real.square() + spectrum.imag.square()
