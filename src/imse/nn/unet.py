"""The three-level U-Net between the dense encoder and the decoders (MUSE, arXiv 2406.04589)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imse.nn.config import NetworkConfig
from imse.nn.constants import HEAD_SIZE
from imse.nn.parts import ATTENTIONS, EMBEDDINGS
from imse.nn.rotary import rotary_table
from imse.nn.stage import Stage


class Down(nn.Sequential):
    """Halve time and frequency: depthwise 3x3, 1x1 convolution to b / 4 channels, pixel unshuffle to b.

    Shape:
        - x: [B, a, T, F]; output: [B, b, T / 2, F / 2].
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels // 4, 1, bias=False),
            nn.PixelUnshuffle(2),
        )


class Up(nn.Sequential):
    """Double time and frequency: depthwise 3x3, 1x1 convolution to 4b channels, pixel shuffle to b.

    Shape:
        - x: [B, a, T, F]; output: [B, b, 2T, 2F].
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, 4 * out_channels, 1, bias=False),
            nn.PixelShuffle(2),
        )


class UNet(nn.Module):
    """Features to features for the magnitude and for the phase.

    Five stages process the full, half, quarter, half and full resolution. At half and full resolution, the output of
    the encoder stage is concatenated to the input of the decoder stage. Two refinement stages follow, one for the
    magnitude and one for the phase; the output of each passes a 3x3 convolution and is added to the U-Net's input.

    Shape:
        - x: [B, c, T, F] with T and F multiples of 4; outputs (magnitude, phase): [B, c, T, F] each.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        c = config.channels
        embedding, attention = EMBEDDINGS[config.embedding], ATTENTIONS[config.attention]

        def stage(level: int) -> Stage:
            width = c * (level + 1)
            return Stage(width, embedding(width), (attention(width, level) for _ in range(config.blocks)))

        self.encoder1 = stage(level=0)
        self.down1 = Down(c, 2 * c)
        self.encoder2 = stage(level=1)
        self.down2 = Down(2 * c, 3 * c)
        self.latent = stage(level=2)
        self.up2 = Up(3 * c, 2 * c)
        self.reduce2 = nn.Conv2d(4 * c, 2 * c, 1, bias=False)
        self.decoder2 = stage(level=1)
        self.up1 = Up(2 * c, c)
        self.reduce1 = nn.Conv2d(2 * c, c, 1, bias=False)
        self.decoder1 = stage(level=0)
        self.refine_magnitude = stage(level=0)
        self.refine_phase = stage(level=0)
        self.magnitude_out = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.phase_out = nn.Conv2d(c, c, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        frames, bins = x.shape[2:]
        # One table for each resolution; all blocks at that resolution share it.
        full, half, quarter = (rotary_table(frames // r, bins // r, HEAD_SIZE, like=x) for r in (1, 2, 4))
        skip1 = self.encoder1(x, full)
        skip2 = self.encoder2(self.down1(skip1), half)
        deepest = self.latent(self.down2(skip2), quarter)
        level2 = self.decoder2(self.reduce2(torch.cat([self.up2(deepest), skip2], dim=1)), half)
        level1 = self.decoder1(self.reduce1(torch.cat([self.up1(level2), skip1], dim=1)), full)
        magnitude = self.magnitude_out(self.refine_magnitude(level1, full)) + x
        phase = self.phase_out(self.refine_phase(level1, full)) + x
        return magnitude, phase
