"""The ONNX engine refuses files of other networks: one line that names the file, and no output."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from imse import Enhancer
from imse.errors import ImseError, describe
from imse.export import INPUTS, OUTPUTS

SHAPE: Sequence[str | int] = ["batch", 256, "frames"]


def identities(inputs: Sequence[str] = INPUTS, outputs: Sequence[str] = OUTPUTS) -> list[NodeProto]:
    return [helper.make_node("Identity", [a], [b]) for a, b in zip(inputs, outputs, strict=True)]


def onnx_file(
    path: Path,
    nodes: Sequence[NodeProto],
    shape: Sequence[str | int] | None = SHAPE,
    output_shape: Sequence[str | int] | None = SHAPE,
    kind: int = TensorProto.FLOAT,
    inputs: Sequence[str] = INPUTS,
    outputs: Sequence[str] = OUTPUTS,
    constants: dict[str, list[int]] | None = None,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info(name, kind, output_shape) for name in outputs],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in (constants or {}).items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def hostile(kind: str, path: Path) -> Path:
    if kind in ("double", "int64", "string"):
        return onnx_file(path, identities(), kind=getattr(TensorProto, kind.upper()))
    if kind == "names of inputs":
        return onnx_file(path, identities(inputs := ("x", "y")), inputs=inputs)
    if kind == "names of outputs":
        return onnx_file(path, identities(INPUTS, outputs := ("x", "y")), outputs=outputs)
    if kind == "one output":
        return onnx_file(path, identities()[:1], outputs=OUTPUTS[:1])
    if kind == "sequence":
        nodes = [helper.make_node("SequenceConstruct", [INPUTS[0]], [OUTPUTS[0]]), identities()[1]]
        path = onnx_file(path, nodes)
        model = onnx.load(path)
        model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info(OUTPUTS[0], TensorProto.FLOAT, None))
        onnx.save(model, path)
        return path
    if kind in ("rank 2", "rank 4", "bins", "fixed frames"):
        shapes: dict[str, list[str | int]] = {
            "rank 2": ["batch", "frames"],
            "rank 4": ["batch", 1, 256, "frames"],
            "bins": ["batch", 128, "frames"],
            "fixed frames": [1, 256, 8],
        }
        return onnx_file(path, identities(), shapes[kind], shapes[kind])
    if kind in ("scalars", "a mean over time"):
        options = {"keepdims": 0} if kind == "scalars" else {"keepdims": 1, "axes": [2]}
        nodes = [helper.make_node("ReduceMean", [a], [b], **options) for a, b in zip(INPUTS, OUTPUTS, strict=True)]
        return onnx_file(path, nodes, output_shape=None)
    if kind == "160 GB":
        nodes = [
            helper.make_node("ConstantOfShape", ["sizes"], ["large"]),
            helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
            helper.make_node("Add", [INPUTS[0], "sum"], [OUTPUTS[0]]),
        ]
        return onnx_file(path, [*nodes, identities()[1]], constants={"sizes": [40, 10**9]})
    nodes = [helper.make_node("Reshape", [INPUTS[0], "sizes"], [OUTPUTS[0]]), identities()[1]]
    return onnx_file(path, nodes, output_shape=None, constants={"sizes": [7_919, -1]})


NOT_OURS = ["double", "int64", "string", "names of inputs", "names of outputs", "one output", "sequence"]
CANNOT_RUN = ["rank 2", "rank 4", "bins", "fixed frames", "160 GB", "impossible reshape"]
OTHER_SHAPES = ["scalars", "a mean over time"]


@pytest.mark.parametrize("kind", NOT_OURS)
def test_other_inputs_and_outputs_are_refused_when_the_file_is_opened(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ImseError, match=r"a\.onnx: an ONNX file, but not one that 'imse export' wrote$"):
        Enhancer(hostile(kind, tmp_path / "a.onnx"))


# ONNX Runtime alone knows how much a graph will allocate: the memory is limited, as on a machine that is not this one.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
import numpy
from imse import Enhancer, ImseError
from imse.errors import describe
try:
    Enhancer(sys.argv[1]).enhance(numpy.full(9_000, 0.1, numpy.float32), 16_000)
except ImseError as error:
    print(describe(error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, to limit memory")
@pytest.mark.parametrize("kind", CANNOT_RUN)
def test_what_cannot_be_run_is_one_line(kind: str, tmp_path: Path) -> None:
    weights = hostile(kind, tmp_path / "a.onnx")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, weights], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == ""
    [line] = done.stdout.splitlines()
    assert line.startswith(f"{weights}: cannot be run: ")


@pytest.mark.parametrize("kind", OTHER_SHAPES)
def test_outputs_of_another_shape_are_no_sound(kind: str, tmp_path: Path) -> None:
    enhancer = Enhancer(hostile(kind, tmp_path / "a.onnx"))
    with pytest.raises(ImseError, match=r"a\.onnx: not a network of imse: it turns \[1, 256, \d+\] into \[") as error:
        enhancer.enhance(np.full(9_000, 0.1, np.float32), 16_000)
    assert "\n" not in describe(error.value)


def test_the_graph_of_these_tests_is_accepted_otherwise(tmp_path: Path) -> None:
    """What is refused above is refused for what differs."""
    samples = np.random.default_rng(0).standard_normal(9_000).astype(np.float32)
    enhancer = Enhancer(onnx_file(tmp_path / "a.onnx", identities()), segments="paper")  # which keep direct current
    output = enhancer.enhance(samples, 16_000)
    np.testing.assert_allclose(output, samples, atol=1e-3)
