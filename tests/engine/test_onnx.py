"""ONNX files that somebody else made: an error of one line, never noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor, make_tensor_value_info

from imse.engine.onnx import INPUTS, OUTPUTS, OnnxEngine
from imse.errors import ImseError

SPECTRUM = ("batch", 256, "frames")
SAME = [make_node("Identity", [before], [after]) for before, after in zip(INPUTS, OUTPUTS, strict=True)]
MEAN = [make_node("ReduceMean", [before], [after], keepdims=0) for before, after in zip(INPUTS, OUTPUTS, strict=True)]
FOREIGN = "an ONNX file, but not one that 'imse export' wrote"


def onnx_file(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    kind: int = TensorProto.FLOAT,
    shape: Sequence[str | int] = SPECTRUM,
    outputs: Sequence[str] = OUTPUTS,
    output_shape: Sequence[str | int] | None = SPECTRUM,
    constants: Sequence[onnx.TensorProto] = (),
) -> Path:
    graph = make_graph(
        nodes,
        "foreign",
        [make_tensor_value_info(name, kind, shape) for name in INPUTS],
        [make_tensor_value_info(name, kind, output_shape) for name in outputs],
        constants,
    )
    onnx.save(make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8), path)
    return path


def run(path: Path) -> None:
    OnnxEngine(path)(np.ones((1, 16_000), np.float32))


def test_a_network_that_changes_nothing_runs(tmp_path: Path) -> None:
    run(onnx_file(tmp_path / "a.onnx", SAME))


def test_other_names_types_ranks_and_sizes(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    renamed = [make_node("Identity", [before], [after]) for before, after in zip(INPUTS, "ab", strict=True)]
    deep, few = ("batch", 256, "frames", 1), ("batch", 128, "frames")
    files: list[dict[str, Any]] = [
        {"nodes": renamed, "outputs": "ab"},
        {"nodes": SAME, "kind": TensorProto.DOUBLE},
        {"nodes": SAME, "shape": deep, "output_shape": deep},
        {"nodes": SAME, "shape": few, "output_shape": few},
        {"nodes": MEAN, "output_shape": ()},
        {"nodes": MEAN, "output_shape": None},
    ]
    for file in files:
        with pytest.raises(ImseError, match=FOREIGN):
            run(onnx_file(path, **file))


def test_an_output_of_another_shape_than_its_file_says(tmp_path: Path) -> None:
    halves = [make_node("AveragePool", [before], [after], kernel_shape=[2], strides=[2])
              for before, after in zip(INPUTS, OUTPUTS, strict=True)]  # fmt: skip
    with pytest.raises(ImseError, match=FOREIGN):
        run(onnx_file(tmp_path / "a.onnx", halves, output_shape=("batch", 256, "half")))


def test_a_tensor_that_fits_nowhere(tmp_path: Path) -> None:
    size = make_tensor("size", TensorProto.INT64, [3], [1, 256, 10**12])
    nodes = [make_node("ConstantOfShape", ["size"], [OUTPUTS[0]]), SAME[1]]
    with pytest.raises(ImseError, match=r"a\.onnx: "):
        run(onnx_file(tmp_path / "a.onnx", nodes, output_shape=("a", "b", "c"), constants=[size]))
