"""The convolutions of the network that stand alone: torch's, but compiled in training where that is possible."""

from __future__ import annotations

from torch import Tensor, nn

from imse.nn import compiled


class Convolution(nn.Conv2d):
    """`torch.nn.Conv2d` of one of these kinds, all with zero padding to the "same" size (halved by the stride).

    - dense, with an odd kernel;
    - dense, with kernel (1, 3) and stride (1, 2);
    - depthwise, with kernel 3 and no bias.

    Shape:
        - x: [B, c, T, F]; output: [B, d, T, F] or [B, d, T, F / 2].
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        if compiled.usable(self, input, self.stride[1]):
            return compiled.convolution(input, self)
        return super().forward(input)
