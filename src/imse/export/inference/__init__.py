"""A network in the form in which it is exported: the same function, as a graph that runs faster.

In a runtime such as ONNX Runtime, every pass over a feature map costs time, not only the multiplications. So weights
are merged (norm weights into the convolutions that follow, 1x1 convolutions into their neighbours), and the operations
between convolutions are those that a runtime can apply in the convolutions' own memory layout. docs/performance.md
lists what each step gains. This form is not trained.

Each module here holds the inference forms of the module of the same name in `imse.nn`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from imse.export.inference.decoders import InferenceMagnitudeDecoder, InferencePhaseDecoder
from imse.export.inference.dense import InferenceConvNormPReLU, InferenceDenseBlock
from imse.export.inference.idconv import InferenceIDConv
from imse.export.inference.stage import InferenceBlock
from imse.export.inference.unet import InferenceDown
from imse.nn.decoders import MagnitudeDecoder, PhaseDecoder
from imse.nn.dense import ConvNormPReLU, DenseBlock
from imse.nn.idconv import IDConv
from imse.nn.network import Network
from imse.nn.stage import Block
from imse.nn.unet import Down

# The inference form of each part is built from the part. Parts without one stay as they are.
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
    """The network rewritten for inference; `network` itself is not changed.

    Returns:
        A module in evaluation mode with the inputs and outputs of `Network.forward`, equal to it up to rounding.
    """
    form = copy.deepcopy(network)
    _rewrite(form)
    return form.eval()


def _rewrite(module: nn.Module) -> None:
    for name, child in module.named_children():
        # A subclass counts too: training may have replaced a part by its accelerated form.
        form = next((form for part, form in _FORMS.items() if isinstance(child, part)), None)
        if form:
            setattr(module, name, form(child))
        else:
            _rewrite(child)
