"""The mean of weights: its values, parents, bytes, and errors."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from imse import checkpoint
from imse.errors import ImseError
from imse.info import describe
from imse.nn import Network, NetworkConfig
from imse.weights import CONFIG_KEY
from imse.weights.average import average

CONFIG = NetworkConfig(channels=8, blocks=1)


def _network(seed: int, config: NetworkConfig = CONFIG) -> Network:
    torch.manual_seed(seed)
    return Network(config).eval()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.safetensors" for name in ("one", "two", "three")]
    for seed, path in enumerate(paths):
        checkpoint.save(_network(seed), path, {"name": f"run {path.stem}"})
    return paths


def test_every_tensor_is_the_weighted_mean(files: list[Path], tmp_path: Path) -> None:
    average(files, tmp_path / "mean.safetensors", [1, 2, 5])
    mean = checkpoint.load(tmp_path / "mean.safetensors").state_dict()
    parents = [checkpoint.load(file).state_dict() for file in files]
    for name, tensor in mean.items():
        expected = sum(w * parent[name].double() for w, parent in zip((1 / 8, 2 / 8, 5 / 8), parents, strict=True))
        assert isinstance(expected, torch.Tensor)
        torch.testing.assert_close(tensor, expected.float(), rtol=1e-6, atol=1e-7)


def test_one_parent_with_all_the_weight_is_that_parent(files: list[Path], tmp_path: Path) -> None:
    average(files, tmp_path / "mean.safetensors", [0, 1, 0])
    mean, parent = (checkpoint.load(path).state_dict() for path in (tmp_path / "mean.safetensors", files[1]))
    assert all(torch.equal(mean[name], parent[name]) for name in parent)


def test_the_file_names_its_parents_and_what_is_known_of_it(files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "mean.safetensors"
    average(files[:2], output, [1, 3], {"license": "MIT"})
    with safe_open(output, framework="numpy") as file:
        metadata = file.metadata()
    parents = json.loads(metadata["parents"])
    assert [(parent["name"], parent["share"]) for parent in parents] == [("run one", 0.25), ("run two", 0.75)]
    assert [parent["sha256"] for parent in parents] == [
        hashlib.sha256(file.read_bytes()).hexdigest() for file in files[:2]
    ]
    assert metadata["license"] == "MIT"
    assert "parents        0.25 of run one, 0.75 of run two" in describe(output)


def test_other_processes_write_the_same_bytes(files: list[Path], tmp_path: Path) -> None:
    """The order of a hash table differs from process to process."""
    contents = set()
    for number in range(4):
        output = tmp_path / f"mean{number}.safetensors"
        command = ["average", *map(str, files), "--weights", "1,2,3", "--set", "license=MIT", "--set", "name=mean"]
        subprocess.run([sys.executable, "-m", "imse", *command, "-o", str(output)], check=True)
        contents.add(output.read_bytes())
    assert len(contents) == 1


def test_another_network_is_refused(files: list[Path], tmp_path: Path) -> None:
    deeper = tmp_path / "deeper.safetensors"
    checkpoint.save(_network(0, replace(CONFIG, blocks=2)), deeper)
    with pytest.raises(ImseError, match=r"deeper\.safetensors: another network .*blocks 2 instead of 1"):
        average([files[0], deeper], tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()


@pytest.mark.parametrize("shares", [[1.0], [1.0, -0.1], [0.0, 0.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_unusable_weights_of_the_mean_are_refused(files: list[Path], tmp_path: Path, shares: list[float]) -> None:
    with pytest.raises(ImseError, match="weights"):
        average(files[:2], tmp_path / "mean.safetensors", shares)


def test_weights_that_are_not_finite_are_refused(files: list[Path], tmp_path: Path) -> None:
    network = _network(0)
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = float("nan")
    checkpoint.save(network, tmp_path / "nan.safetensors")
    with pytest.raises(ImseError, match=r"nan\.safetensors: .* not all finite"):
        average([files[0], tmp_path / "nan.safetensors"], tmp_path / "mean.safetensors")


@pytest.mark.parametrize("content", [b"", b"nothing", np.arange(100).tobytes()])
def test_what_is_no_weights_file_is_refused_by_name(files: list[Path], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.safetensors").write_bytes(content)
    with pytest.raises(ImseError, match=r"odd\.safetensors: not a safetensors file of imse"):
        average([files[0], tmp_path / "odd.safetensors"], tmp_path / "mean.safetensors")


def test_the_command_keeps_what_is_there(files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "mean.safetensors"
    output.write_text("mine")
    command = [sys.executable, "-m", "imse", "average", *map(str, files), "-o", str(output)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "--overwrite" in result.stderr
    assert output.read_text() == "mine"


@pytest.mark.parametrize("config", ["[" * 200_000, "[1]", "{"])
def test_unusable_metadata_are_refused_by_name(files: list[Path], tmp_path: Path, config: str) -> None:
    odd = tmp_path / "odd.safetensors"
    save_file(load_file(files[0]), odd, {CONFIG_KEY: config})
    with pytest.raises(ImseError, match=r"odd\.safetensors: not a safetensors file of imse"):
        average([odd, files[0]], tmp_path / "mean.safetensors")


def test_a_pipe_is_refused_instead_of_waited_for(files: list[Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImseError, match="pipe: a pipe or a device"):
        average([files[0], tmp_path / "pipe"], tmp_path / "mean.safetensors")
