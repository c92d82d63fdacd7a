"""The steps of a stream as the network's definition in torch gives them, without regard to cost.

Maps are kept whole here, and frames that are not computed anew are put back after every layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from imse.nn import Network
from imse.nn.constants import HEAD_SIZE, NORM_EPSILON
from imse.nn.mala import MALA, rectify
from imse.nn.rotary import rotary_table, rotate
from imse.nn.stage import Block, ChannelNorm

KEPT = 32  # frames before those that are computed: layers look back 8 at the highest level, 5 at a quarter of the rate


def _in_front_of_depthwise(block: Block) -> list[nn.Module]:
    assert isinstance(block.attention, MALA)
    return [block.attention.lepe, block.attention.proj, block.norm2, block.ffn.project_in]


class ReferenceSteps:
    """The network on the newest frames of a spectrum, step by step.

    Args:
        network: Whose layers are changed for it.
        computed: Frames that each step computes.
        leaving: Frames from step to step.
        memory: Frames after which a frame counts 1 / e in the running averages of norms and attentions.
    """

    def __init__(self, network: Network, computed: int, leaving: int, memory: float) -> None:
        self._network = network.eval()
        self._computed, self._leaving = computed, leaving
        self._decay = math.exp(-leaving / memory)
        self._steps = 0
        self._kept_before = self._kept = 0
        # A feed-forward network looks one frame back, and what it is given of that frame is computed again.
        blocks = [module for module in network.modules() if isinstance(module, Block)]
        again = {part for block in blocks for part in _in_front_of_depthwise(block)}
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.PReLU, ChannelNorm, Block)):
                module.register_forward_hook(self._put_back(again=int(module in again)))
            elif isinstance(module, nn.InstanceNorm2d):
                module.register_forward_hook(self._norm())
            elif isinstance(module, MALA):
                module.forward = self._attention(module)  # type: ignore[assignment, method-assign]

    def __call__(self, magnitude: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """The newest frames [1, 256, T], of which there are all since the first step or more, to the computed ones."""
        self._kept_before, self._kept = self._kept, min(KEPT, self._steps * self._leaving)
        newest = slice(-(self._computed + self._kept), None)
        with torch.inference_mode():
            outputs = self._network(magnitude[..., newest], phase[..., newest])
        self._steps += 1
        return tuple(output[..., -self._computed :] for output in outputs)

    def _scaled(self, frames: int, x: Tensor) -> int:
        """A number of frames at the highest level at that of a map."""
        return frames * x.shape[2] // (self._computed + self._kept)

    def _put_back(self, again: int = 0) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        """A hook that puts frames back, but for the last ones of those, which are computed `again`."""
        before: list[Tensor] = []

        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            kept = max(self._scaled(self._kept, output) - again, 0)
            if before:
                # The map ends `leaving` frames later than the last one.
                begin = self._scaled(self._kept_before + self._leaving - self._kept, output)
                output = torch.cat([before[0][:, :, begin : begin + kept], output[:, :, kept:]], 2)
            before[:] = [output]
            return output

        return hook

    def _norm(self) -> Callable[[nn.InstanceNorm2d, tuple[Tensor], Tensor], Tensor]:
        total = torch.zeros(3, 1, 1, 1, 1)
        put_back = self._put_back()

        def hook(module: nn.InstanceNorm2d, inputs: tuple[Tensor], _output: Tensor) -> Tensor:
            nonlocal total
            (x,) = inputs
            new = x[:, :, self._scaled(self._kept, x) :]
            frames = torch.stack([torch.ones_like(new), new, new**2]).double().mean(4, keepdim=True)
            averages = total + frames.sum(3, keepdim=True)
            total = self._decay * (total + frames[:, :, :, : self._scaled(self._leaving, x)].sum(3, keepdim=True))
            mean, square = averages[1] / averages[0], averages[2] / averages[0]
            scale = module.weight.view(-1, 1, 1) / torch.sqrt(square - mean**2 + NORM_EPSILON)
            return put_back(module, inputs, ((x - mean) * scale + module.bias.view(-1, 1, 1)).float())

        return hook

    def _attention(self, module: MALA) -> Callable[[Tensor, Tensor], Tensor]:
        # Over positions: their number, keys, values, and products of rotated keys and values.
        total: list[Tensor] = []

        def forward(x: Tensor, _table: Tensor) -> Tensor:
            kept, leaving = self._scaled(self._kept, x), self._scaled(self._leaving, x)
            bins = x.shape[3]
            # Of the first computed frame; angles count from the frame before.
            at = slice(bins, None)
            qkvo = module.qkvo(x)
            lepe = module.lepe(qkvo.chunk(4, dim=1)[2])
            qkvo, lepe = (nn.functional.pad(part, (0, 0, 1, 0))[:, :, kept:] for part in (qkvo, lepe))
            q, k, v, o = qkvo.chunk(4, dim=1)
            shape = q.shape
            q, k, v = (part.reshape(1, module.heads, HEAD_SIZE, -1) for part in (q, k, v))
            q, k = nn.functional.elu(q) + 1, nn.functional.elu(k) + 1
            table = rotary_table(shape[2], bins, HEAD_SIZE, like=x)
            ones, turned = torch.ones_like(k[:, :, :1]), rotate(k, table)

            def sums(frames: slice) -> list[Tensor]:
                parts = [part[..., at][..., frames].sum(-1, keepdim=True) for part in (ones, k, v)]
                return [*parts, turned[..., at][..., frames] @ v[..., at][..., frames].transpose(2, 3)]

            past = total or [torch.zeros_like(part) for part in sums(slice(1))]
            n, keys, values, products = (a + b for a, b in zip(past, sums(slice(None)), strict=True))
            total[:] = [self._decay * (a + b) for a, b in zip(past, sums(slice(leaving * bins)), strict=True)]
            # The first frame of the next step is `leaving` later, so keys are that much further back.
            cosine, sine = table[:, :, leaving, :1].clone()
            cosine[HEAD_SIZE // 4 :], sine[HEAD_SIZE // 4 :] = 1, 0
            total[3] = rotate(total[3], torch.stack([cosine, -sine]).unsqueeze(-1).expand(-1, -1, 1, HEAD_SIZE))
            linear = (products * HEAD_SIZE**-0.5 / n).transpose(2, 3) @ rotate(q, table)
            # `rectify` takes means over positions, which these are already.
            attended = rectify(linear, q, keys / n, values / n).reshape(shape)
            gated = (attended + lepe) * o
            whole = nn.functional.pad(gated, (0, 0, kept, 0))[:, :, 1:]
            projected: Tensor = module.proj(whole)
            return projected

        return forward
