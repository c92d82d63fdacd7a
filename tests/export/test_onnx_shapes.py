"""Shapes that the exporter computes inside the graph become constants where possible."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from imse.export.onnx_shapes import settle_shapes
from imse.signal.spectrum import Floats


def model(shape: str) -> onnx.ModelProto:
    """``y = reshape(conv(x) * conv(x), ...)`` for x [batch, 2, frames, 4], the shape computed from x's."""
    indices = {"batch": 0, "channels": 1, "frames": 2, "bins": 3}
    tensors = [
        numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32), "kernels"),
        numpy_helper.from_array(np.array([-1]), "rest"),
        *(numpy_helper.from_array(np.array([index]), name) for name, index in indices.items()),
    ]
    parts = shape.split()
    nodes = [
        helper.make_node("Conv", ["x", "kernels"], ["convolved"]),
        helper.make_node("Mul", ["convolved", "convolved"], ["squared"]),
        helper.make_node("Shape", ["x"], ["sizes"]),
        *(helper.make_node("Gather", ["sizes", part], [f"size_{part}"]) for part in parts if part in indices),
        helper.make_node("Concat", [f"size_{p}" if p in indices else p for p in parts], ["shape"], axis=0),
        helper.make_node("Reshape", ["squared", "shape"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, "frames", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "graph", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def random_maps(batch: int, frames: int) -> Floats:
    return np.random.default_rng(0).random((batch, 2, frames, 4), dtype=np.float32)


def run(model: onnx.ModelProto, x: Floats) -> Floats:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    return np.asarray(y)


@pytest.mark.parametrize(
    ("shape", "constant"),
    [
        ("batch channels frames bins", [0, 2, 0, 4]),
        ("batch channels rest", [0, 2, -1]),
        ("batch bins frames channels", [0, 4, 0, 2]),
    ],
)
def test_computed_shapes(shape: str, constant: list[int]) -> None:
    before, after = model(shape), model(shape)
    settle_shapes(after, [[random_maps(2, 12)], [random_maps(3, 20)]])
    (reshape,) = (node for node in after.graph.node if node.op_type == "Reshape")
    shapes = {tensor.name: tensor for tensor in after.graph.initializer}
    assert numpy_helper.to_array(shapes[reshape.input[1]]).tolist() == constant
    assert [node.op_type for node in after.graph.node] == ["Conv", "Mul", "Reshape"]
    assert len(shapes) == 2
    x = random_maps(5, 7)
    np.testing.assert_array_equal(run(after, x), run(before, x))


def test_a_shape_that_must_be_computed_stays() -> None:
    """Two free sizes, neither of which is the input's size at the same axis."""
    before, after = model("frames channels batch bins"), model("frames channels batch bins")
    settle_shapes(after, [[random_maps(2, 12)], [random_maps(3, 20)]])
    assert len(after.graph.node) == len(before.graph.node)
    np.testing.assert_array_equal(run(after, random_maps(5, 7)), run(before, random_maps(5, 7)))


def test_values_of_one_shape_have_one_name_for_each_free_size() -> None:
    settled = model("batch channels rest")
    settle_shapes(settled, [[random_maps(2, 12)], [random_maps(3, 20)]])
    convolved, squared = (
        [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in settled.graph.value_info
    )
    assert convolved == squared == ["2|3", 2, "12|20", 4]
