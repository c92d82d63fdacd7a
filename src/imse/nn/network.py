"""The whole network: spectrum in, spectrum out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imse.nn.config import NetworkConfig
from imse.nn.decoders import MagnitudeDecoder, PhaseDecoder
from imse.nn.dense import DenseEncoder
from imse.nn.unet import UNet


class Network(nn.Module):
    """Speech enhancement on the compressed spectrum: dense encoder, U-Net, a decoder for magnitude and for phase.

    A mask is estimated for the noisy compressed magnitude and the phase is estimated anew.

    Args:
        config: Sizes, and the kinds of attention and embedding.

    Shape:
        - magnitude, phase: noisy compressed magnitude and wrapped phase in radians, [B, bins, T] with any T >= 1.
        - Outputs: enhanced compressed magnitude and phase of the same shape.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = DenseEncoder(config.channels)
        self.unet = UNet(config)
        self.magnitude_decoder = MagnitudeDecoder(config.channels, config.bins)
        self.phase_decoder = PhaseDecoder(config.channels)

    def forward(self, magnitude: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        frames = magnitude.shape[-1]
        x = torch.stack([magnitude, phase], dim=1)
        # The U-Net halves time twice. The last frame is repeated, as the network answers badly to zeros.
        x = F.pad(x, (0, -frames % 4, 0, 0), mode="replicate")
        magnitude_features, phase_features = self.unet(self.encoder(x.transpose(2, 3)))
        mask = self.magnitude_decoder(magnitude_features)[..., :frames]
        return magnitude * mask, self.phase_decoder(phase_features)[..., :frames]


class IMSE(Network):
    """Inception and MALA speech enhancement (arXiv 2511.14515, section 2).

    Args:
        config: Another setting than the published one.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__(config or NetworkConfig())


class MUSE(Network):
    """MUSE (arXiv 2406.04589, section 2), the baseline of IMSE, in its published setting."""

    def __init__(self) -> None:
        super().__init__(NetworkConfig(attention="met", embedding="de"))
