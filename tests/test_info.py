"""`imse info`: the description of weights, and the comparison of the family."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from unittest.mock import patch

import onnx
import pytest

import imse
from imse.checkpoint import load, save
from imse.errors import ImseError
from imse.info import compare, describe, network_config
from imse.nn import Network, NetworkConfig
from imse.weights import CONFIG_KEY, FOLDER, names
from imse.weights.serialization import serialize

SMALL = NetworkConfig(channels=8, blocks=1, bins=16)


def onnx_file(path: Path, metadata: dict[str, str]) -> Path:
    """An ONNX file that does nothing, with metadata."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    same = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "same", [value], [same])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def test_safetensors(tmp_path: Path) -> None:
    save(Network(SMALL), tmp_path / "a.safetensors", {"license": "CC0-1.0", "name": "tiny"})
    lines = describe(tmp_path / "a.safetensors").splitlines()
    assert lines[0] == f"weights        {tmp_path / 'a.safetensors'} (0.2 MB)"
    assert lines[1:5] == [
        "network        channels 8, blocks 1, bins 16, attention mala, embedding idconv",
        "license        CC0-1.0",
        "training data  not stated in the file",
        "name           tiny",
    ]
    total = f"{sum(p.numel() for p in Network(SMALL).parameters()):,}"
    assert lines[-1].split() == ["total", total, "0.05"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(SMALL, blocks=10**9, attention="met"), "1000000000 blocks, but tensors of 1"),
        (replace(SMALL, channels=8 * 10**9), "8000000000 channels, but tensors of 8"),
        (replace(SMALL, bins=32), "32 bins, but tensors of 16"),
    ],
)
def test_a_configuration_that_the_tensors_do_not_have(tmp_path: Path, config: NetworkConfig, message: str) -> None:
    """It is refused at once, by what opens the weights too: nothing of that size is built."""
    file = tmp_path / "a.safetensors"
    tensors = {name: tensor.detach().numpy() for name, tensor in Network(SMALL).state_dict().items()}
    file.write_bytes(serialize(tensors, {CONFIG_KEY: json.dumps(asdict(config))}))
    with pytest.raises(ImseError, match=message):
        describe(file)
    with pytest.raises(ImseError, match=r"a\.safetensors: "):
        load(file)


def test_neither_needs_torch() -> None:
    """`imse info` and `imse models`; the numbers are those of the model card."""
    code = """if True:
        import sys, imse.info
        from imse.weights import find
        print(imse.info.packaged())
        print(imse.info.describe(find("default", ".safetensors")))
        assert not {"torch", "onnxruntime"} & {*sys.modules}
    """
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| ([\d,]+) \| ([\d.]+) MB.*\| (\S+, \S+) \| (\S+, \S+) \|$", card, re.MULTILINE
    )
    assert sorted(row[0] for row in rows) == names()
    lines = {line.split()[0]: line for line in printed.splitlines() if line}
    for name, parameters, megabytes, *scores in rows:
        shown = [score.replace(" .", " 0.") for score in scores]
        assert re.fullmatch(rf"{name} +{parameters} +[\d.]+ +{megabytes} +MIT +{' +'.join(shown)}", lines[name])
    assert lines["total"].split() == ["total", "431,388", "4.50"]


def test_onnx_needs_no_torch(tmp_path: Path) -> None:
    code = """if True:
        import sys, pathlib, imse.info
        print(imse.info.describe(pathlib.Path(sys.argv[1])))
        assert "torch" not in sys.modules
    """
    metadata = {CONFIG_KEY: json.dumps(asdict(SMALL)), "license": "CC0-1.0", "training_data": "none"}
    file = onnx_file(tmp_path / "a.onnx", metadata)
    environment = {**os.environ, "PYTHONPATH": str(Path(imse.__file__).parents[1])}
    printed = subprocess.run(
        [sys.executable, "-c", code, file], check=True, capture_output=True, text=True, env=environment
    )
    assert printed.stdout.splitlines()[1:] == [
        "network        channels 8, blocks 1, bins 16, attention mala, embedding idconv",
        "license        CC0-1.0",
        "training data  none",
    ]


def test_onnx_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(ImseError, match=r"a\.onnx: an ONNX file, but not one that 'imse export' wrote"):
        describe(onnx_file(tmp_path / "a.onnx", {}))
    (tmp_path / "b.onnx").write_text("text")
    with pytest.raises(ImseError, match=r"b\.onnx: not an ONNX file, or a damaged one"):
        describe(tmp_path / "b.onnx")


@pytest.mark.parametrize("config", ["{", "[1]", "3", "NaN", '"x"', "[" * 200_000, '{"bins": ' * 200_000])
def test_an_onnx_file_with_an_unusable_configuration(tmp_path: Path, config: str) -> None:
    file = onnx_file(tmp_path / "a.onnx", {CONFIG_KEY: config})
    for read in (describe, network_config):
        with pytest.raises(ImseError, match=r"a\.onnx: unusable network configuration: ") as caught:
            read(file)
        assert "\n" not in str(caught.value)


def test_metadata_reach_the_terminal_as_text(tmp_path: Path) -> None:
    metadata = {CONFIG_KEY: json.dumps(asdict(SMALL)), "license": "\x1b[2Jgone", "parents": "[" * 200_000}
    text = describe(onnx_file(tmp_path / "a.onnx", metadata))
    assert "\\x1b[2Jgone" in text
    assert "\x1b" not in text


def test_compare() -> None:
    with patch("imse.cost.real_time_factors", return_value=[0.4, 0.3, 0.3, 0.2]):
        text = compare()
    rows = {line[:34].strip(): line[34:].split() for line in text.splitlines()}
    assert rows["parameters, as published"] == ["513,015", "507,427", "438,583", "432,995"]
    assert rows["parameters, live"] == ["511,408", "505,820", "436,976", "431,388"]
    assert rows["relative to MUSE"] == ["1.00", "0.75", "0.75", "0.50"]
    assert rows["state in float32, MB"] == ["2.05", "2.02", "1.75", "1.73"]
    assert "15.6% fewer parameters than MUSE. The paper's 16.8% and 0.427 M leave out" in text
