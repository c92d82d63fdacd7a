"""Simplify an ONNX graph by the shapes of its values.

The batch and the frames are free, so the exporter computes shapes inside the graph, and a runtime cannot know that two
free sizes are equal. Here the graph is run on two examples. A size that is the same in both is a constant. Two sizes
that agree in both examples are the same size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from imse.signal.spectrum import Floats

# Operations that ONNX Runtime computes in the memory layout of its convolutions if it knows that shapes are equal.
_SHAPED = {"Add", "Conv", "Gelu", "Mul"}


class Sizes(NamedTuple):
    """The shapes of a value in the two examples."""

    first: tuple[int, ...]
    second: tuple[int, ...]

    def constant(self, axis: int) -> bool:
        """Whether an axis has the same size in both examples."""
        return self.first[axis] == self.second[axis]

    def same(self, other: Sizes, axis: int) -> bool:
        """Whether another value has the same size at an axis, in both examples."""
        return axis < len(other.first) and self[0][axis] == other[0][axis] and self[1][axis] == other[1][axis]


def settle_shapes(model: onnx.ModelProto, examples: Sequence[Sequence[Floats]]) -> None:
    """Replace computed shapes by constants where possible, and declare which values have equal shapes.

    Args:
        model: The model, changed in place.
        examples: Inputs of two runs, in the order of the graph's inputs. Sizes that differ between the runs are free.
    """
    sizes = _observe(model, examples)
    _reshape_by_constants(model.graph, sizes)
    _drop_unused(model.graph)
    outputs = {value.name for value in model.graph.output}
    del model.graph.value_info[:]
    for node in model.graph.node:
        name = node.output[0]
        if node.op_type in _SHAPED and name not in outputs and len(sizes[name].first) == 4:
            shape = [a if a == b else f"{a}|{b}" for a, b in zip(*sizes[name], strict=True)]
            value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            model.graph.value_info.append(value)


def _observe(model: onnx.ModelProto, examples: Sequence[Sequence[Floats]]) -> dict[str, Sizes]:
    """The sizes of every input and of every output of a node."""
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    names = [name for node in model.graph.node for name in node.output if name]
    observed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(observed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = [value.name for value in model.graph.input]
    shapes = []
    for example in examples:
        values = [*example, *session.run(names, dict(zip(inputs, example, strict=True)))]
        shapes.append([np.shape(value) for value in values])
    return dict(zip([*inputs, *names], map(Sizes, *shapes), strict=True))


def _reshape_by_constants(graph: onnx.GraphProto, sizes: dict[str, Sizes]) -> None:
    constant = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] in constant:
            continue
        before, after = sizes[node.input[0]], sizes[node.output[0]]
        # In the shape of a Reshape, 0 is the input's size at the same axis, and -1 the remaining size.
        shape = [
            after.first[axis] if after.constant(axis) else 0 if after.same(before, axis) else -1
            for axis in range(len(after.first))
        ]
        if shape.count(-1) <= 1:
            tensor = numpy_helper.from_array(np.array(shape, dtype=np.int64), f"shape_of_{node.output[0]}")
            graph.initializer.append(tensor)
            node.input[1] = tensor.name


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Drop nodes and initializers that no output depends on."""
    used = {value.name for value in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            nodes.append(node)
            used.update(node.input)
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(tensors)
