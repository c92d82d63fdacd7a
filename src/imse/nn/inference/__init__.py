"""A network in the form in which it is exported: the same function of its inputs, as a graph that runs faster.

What costs time in a runtime such as ONNX Runtime is not the multiplications alone but every pass over a feature map.
So the weights are rewritten once (norm weights into the convolutions that follow them, one-by-one convolutions into
their neighbours) and the operations between convolutions are chosen from those that a runtime can apply in the
convolutions' own memory layout. docs/performance.md has what each step is worth. Nothing is trained in this form.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from imse.nn.decoders import MagnitudeDecoder, PhaseDecoder
from imse.nn.dense import ConvNormPReLU, DenseBlock
from imse.nn.idconv import IDConv
from imse.nn.inference.ends import (
    InferenceConvNormPReLU,
    InferenceDenseBlock,
    InferenceMagnitudeDecoder,
    InferencePhaseDecoder,
)
from imse.nn.inference.stage import InferenceBlock, InferenceDown, InferenceIDConv
from imse.nn.network import Network
from imse.nn.stage import Block
from imse.nn.unet import Down

# Each form is built from the part that it stands for; parts without one stay as they are.
_FORMS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    Block: InferenceBlock,
    IDConv: InferenceIDConv,
    Down: InferenceDown,
    DenseBlock: InferenceDenseBlock,
    ConvNormPReLU: InferenceConvNormPReLU,
    MagnitudeDecoder: InferenceMagnitudeDecoder,
    PhaseDecoder: InferencePhaseDecoder,
}


@torch.no_grad()
def inference_form(network: Network) -> nn.Module:
    """The network rewritten for inference; `network` itself is left alone.

    Returns:
        A module in evaluation mode with the inputs and outputs of `Network.forward`, equal to it but for rounding.
    """
    form = copy.deepcopy(network)
    _rewrite(form)
    return form.eval()


def _rewrite(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) in _FORMS:
            setattr(module, name, _FORMS[type(child)](child))
        else:
            _rewrite(child)
