"""`imse convert` and `imse export` as users run them: their files give equal results in every engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from agreement import agreement_db
from imse import native
from imse.checkpoint import CheckpointError, load, save
from imse.cli import main
from imse.signal.spectrum import SAMPLE_RATE
from imse.weights import find


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def imse(*arguments: str | Path) -> Done:
    """The command in this process, where torch is imported already."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["imse", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    message = end.value.code or ""  # of an error: Python writes it and exits with 1
    assert not isinstance(message, int)
    return Done(1 if message else 0, out.getvalue(), err.getvalue() + message)


def assert_one_line(done: Done, start: str) -> None:
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"imse: {start}")


def assert_engines_agree(safetensors: Path, onnx: Path, second: NDArray[np.float32]) -> None:
    """Both files are one network, to rounding in float32."""
    assert agreement_db("onnx", onnx, safetensors, second) > 90
    if native.available():
        assert agreement_db("native", safetensors, safetensors, second) > 90


@pytest.mark.slow
def test_published_weights(reference: Path, recording: NDArray[np.float32], tmp_path: Path) -> None:
    """Converted and exported, in processes of their own."""
    safetensors, onnx = tmp_path / "imse.safetensors", tmp_path / "imse.onnx"

    def run(*arguments: str | Path) -> str:
        command = [sys.executable, "-m", "imse", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    assert run("convert", reference / "imse_g_best_pesq_3.399", safetensors) == f"{safetensors}: 431,388 parameters\n"
    assert run("export", safetensors, onnx) == f"{onnx}: {onnx.stat().st_size / 1e6:.1f} MB\n"
    assert_engines_agree(safetensors, onnx, recording[:SAMPLE_RATE])


def test_a_new_network(small_weights: Path, recording: NDArray[np.float32], tmp_path: Path) -> None:
    onnx = tmp_path / "small.onnx"
    exported = imse("export", small_weights, onnx)
    assert exported.returncode == 0, exported.stderr
    assert_engines_agree(small_weights, onnx, recording[:SAMPLE_RATE])
    assert re.search(r"name +small\b", imse("info", "--weights", onnx).stdout)


def test_half_precision(recording: NDArray[np.float32], tmp_path: Path) -> None:
    """Half the bytes; every engine computes with the same rounded weights; the metadata and the sound stay."""
    whole, half = find("small", ".safetensors"), tmp_path / "half.safetensors"
    done = imse("convert", "small", half, "--half")
    assert done.returncode == 0, done.stderr
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    with safe_open(whole, framework="numpy") as before, safe_open(half, framework="numpy") as after:
        assert after.metadata() == before.metadata()
        for name in before.keys():  # noqa: SIM118 - not a dict
            np.testing.assert_array_equal(after.get_tensor(name), before.get_tensor(name).astype(np.float16))
    second = recording[2 * SAMPLE_RATE : 3 * SAMPLE_RATE]
    if native.available():
        assert agreement_db("native", half, half, second) > 90
    assert 40 < agreement_db("onnx", "small", half, second) < 90


def test_what_half_precision_does_not_hold(small_weights: Path, tmp_path: Path) -> None:
    network = load(small_weights)
    with torch.no_grad():
        next(network.parameters())[0] = 1e6
    with pytest.raises(CheckpointError, match="has values that 16 bits do not hold"):
        save(network, tmp_path / "half.safetensors", half=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["convert", "export"])
def test_an_output_that_exists(command: str, small_weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.write_text("precious")
    assert_one_line(imse(command, small_weights, output), f"{output}: already there; --overwrite replaces it")
    assert output.read_text() == "precious"


@pytest.mark.parametrize("command", ["convert", "export"])
def test_an_output_that_is_replaced(command: str, small_weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.write_text("old")
    source = shutil.copy(small_weights, tmp_path / "small.safetensors")
    done = imse(command, source, output, "--overwrite")
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() != b"old"
    assert sorted(tmp_path.iterdir()) == sorted([output, Path(source)])


@pytest.mark.parametrize("command", ["convert", "export"])
def test_an_output_that_cannot_be_written(command: str, small_weights: Path, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for output, message in (
        (loop, "too many levels of symbolic links"),
        (tmp_path, "not a file; name a file to write"),
    ):
        assert_one_line(imse(command, small_weights, output), f"{output}: {message}")


@pytest.mark.parametrize("command", ["convert", "export"])
def test_a_wrong_file(command: str, example: Path, tmp_path: Path) -> None:
    assert_one_line(imse(command, example, tmp_path / "out"), f"{example}: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["convert", "export"])
def test_a_pipe(command: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert_one_line(imse(command, pipe, tmp_path / "out"), f"{pipe}: a pipe or a device; weights are read from a file")
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("command", ["convert", "export"])
def test_a_missing_file(command: str, tmp_path: Path) -> None:
    missing = tmp_path / "nothing.pt"
    assert_one_line(imse(command, missing, tmp_path / "out"), f"{missing}: ")
    assert not list(tmp_path.iterdir())
