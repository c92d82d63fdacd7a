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

    The magnitude decoder estimates a mask for the noisy magnitude; the phase decoder estimates the clean phase itself.

    Args:
        config: Sizes, and names of the attention and the embedding.

    Shape:
        - magnitude, phase: noisy compressed magnitude and wrapped phase in radians, [B, bins, T] for any T >= 1.
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
        # The U-Net halves time twice. The last frame is repeated, because zeros distort the output: with the published
        # weights they lower the SNR by up to 30 dB.
        x = F.pad(x, (0, -frames % 4, 0, 0), mode="replicate")
        magnitude_features, phase_features = self.unet(self.encoder(x.transpose(2, 3)))
        mask = self.magnitude_decoder(magnitude_features)[..., :frames]
        return magnitude * mask, self.phase_decoder(phase_features)[..., :frames]


class IMSE(Network):
    """Speech enhancement with IDConv and MALA (arXiv 2511.14515, section 2).

    Args:
        config: The published configuration by default.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__(config or NetworkConfig())


class MUSE(Network):
    """MUSE (arXiv 2406.04589, section 2), the baseline of IMSE, in its published configuration."""

    def __init__(self) -> None:
        super().__init__(NetworkConfig(attention="met", embedding="de"))
