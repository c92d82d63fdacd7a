"""The network as an ONNX file that runs without torch.

The file does not contain the short-time Fourier transform. It maps noisy to enhanced spectra; the engine that runs it
computes the transform.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from imse.atomic_write import atomic_write
from imse.export import INPUTS, OUTPUTS
from imse.export.inference import inference_form
from imse.export.onnx_shapes import settle_shapes
from imse.nn.network import Network
from imse.signal.spectrum import Floats
from imse.weights import CONFIG_KEY

OPSET = 17


def export_onnx(network: Network, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network as ONNX, whole or not at all.

    `imse.export.INPUTS` and `OUTPUTS` name its inputs and outputs, which are those of `Network.forward`.

    Args:
        network: The network, in any mode. It is exported in evaluation mode.
        path: The file to write. An existing file is replaced, and missing folders are created.
        metadata: Origin of the weights: name, licence, training data, ... The network's configuration is added.

    Raises:
        OSError: The file cannot be written.
        ImseError: The path is a device or a pipe, or another process is writing the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        traced, folded = Path(folder, "traced.onnx"), Path(folder, "folded.onnx")
        _trace(network, traced)
        _fold(traced, folded)
        model = onnx.load(folded)
    settle_shapes(model, [_example(network, 2, 12), _example(network, 3, 20)])
    _strip(model)
    config = json.dumps(asdict(network.config))
    # Sorted, so that the same network is the same file: metadata come from safetensors in any order.
    onnx.helper.set_model_props(model, dict(sorted({**(metadata or {}), CONFIG_KEY: config}.items())))
    with atomic_write(Path(path)) as file:
        file.write(model.SerializeToString())


def _trace(network: Network, file: Path) -> None:
    # A batch of two examples of 8 frames: the exporter would treat sizes of one as broadcasts.
    example = tuple(torch.from_numpy(part) for part in _example(network, 2, 8))
    free = {0: "batch", 2: "frames"}
    with torch.no_grad(), warnings.catch_warnings():
        # The tracing exporter warns that it is deprecated. The new one takes 4 minutes with free axes, instead of 0.1,
        # and writes a graph of twice the size.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            inference_form(network),
            example,
            file,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=dict.fromkeys((*INPUTS, *OUTPUTS), free),
            opset_version=OPSET,
            dynamo=False,
        )


def _example(network: Network, batch: int, frames: int) -> tuple[Floats, Floats]:
    magnitude = np.random.default_rng(0).random((batch, network.config.bins, frames), dtype=np.float32)
    return magnitude, magnitude


def _fold(file: Path, folded: Path) -> None:
    """Fold constants at export, not at every start, by the optimisations that are valid on any machine."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _strip(model: onnx.ModelProto) -> None:
    """Shorten the names of nodes and values, which are half of a traced file."""
    kept = {value.name for values in (model.graph.input, model.graph.output) for value in values}
    short: dict[str, str] = {"": ""}
    for tensor in model.graph.initializer:
        tensor.name = short.setdefault(tensor.name, f"w{len(short)}")
    for value in model.graph.value_info:
        value.name = short.setdefault(value.name, f"v{len(short)}")
    for node in model.graph.node:
        node.name = node.doc_string = ""
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = name if name in kept else short.setdefault(name, f"v{len(short)}")
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    model.graph.name, model.doc_string = "imse", ""
