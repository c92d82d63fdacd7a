"""`imse bench` as people run it. The numbers depend on the machine: only their presence and sign are checked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from imse import native
from imse.engine import ENGINES
from imse.enhancer import SEGMENTATIONS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
QUICK = ("--seconds", "0.5", "--rounds", "1")


def bench(*arguments: str | Path, first_in_path: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, filter(None, [first_in_path, *sys.path])))
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    command = [sys.executable, "-m", "imse", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def documented(place: str) -> list[str]:
    """Keys of a part of the JSON, by the table in docs/performance.md."""
    (row,) = (line for line in DOCUMENT.splitlines() if line.startswith(f"| {place} |"))
    return re.findall(r"`(\w+)`", row.split("|")[2])


def assert_spread(found: dict[str, float]) -> None:
    assert 0 < found["min"] <= found["median"] <= found["max"]


def assert_complete(
    record: dict[str, Any], *, threads: tuple[int, ...], engines: Iterable[str] = tuple(ENGINES)
) -> None:
    """The JSON has every field. Every engine is either timed with all settings or left out with a reason."""
    assert list(record) == documented("the file")
    assert record["machine"]["processor"]
    assert record["machine"]["packages"]["numpy"]
    if native.available():
        assert_spread(record["peak_gmacs"])
    else:
        assert record["peak_gmacs"] is None
    opened = [model["engine"] for model in record["models"]]
    assert sorted({*opened, *record["left_out"]}) == sorted(engines)
    assert not {*opened} & {*record["left_out"]}
    for model in record["models"]:
        assert list(model) == documented("each of `models`")
        assert model["file_bytes"] > 0
        assert_spread(model["start_up_wall_seconds"])
        settings = []
        for timing in record["timings"]:
            if (timing["engine"], timing["weights"]) == (model["engine"], model["weights"]):
                assert list(timing) == documented("each of `timings`")
                assert_spread(timing["rtf_cpu"])
                assert_spread(timing["rtf_wall"])
                assert timing["first_seconds"] > 0
                assert timing["open_seconds"] > 0
                settings.append((timing["threads"], timing["segments"]))
        assert settings == list(product(threads, SEGMENTATIONS))


@pytest.mark.slow
def test_beside_torch(small_weights: Path, tmp_path: Path) -> None:
    """With an .onnx and its .safetensors, each engine measures those that it can open, and all agree with torch."""
    files = ("--weights", small_weights, "--weights", small_weights.with_suffix(".onnx"))
    engines = ("native", "onnx", "torch")
    chosen = [word for engine in engines for word in ("--engine", engine)]
    done = bench(*files, *chosen, *QUICK, "--threads", "1", "--json", tmp_path / "out" / "bench.json")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert_complete(record, threads=(1,), engines=engines)
    assert {"onnx", "torch"} <= {model["engine"] for model in record["models"]}
    assert (record["seconds"], record["rounds"]) == (0.5, 1)
    assert len({model["parameters"] for model in record["models"]}) == 1
    for timing in record["timings"]:
        assert_spread(timing["speed_up"])
        if timing["engine"] == "torch":
            assert timing["speed_up"]["median"] == 1
            assert timing["agreement_db"] is None
        else:
            assert timing["agreement_db"] > 5  # an untrained network, whose phases turn at a rounding
        assert (timing["peak_share"] or 0) > 0 or not native.available()
    for word in ("small.onnx", "small.safetensors", "overlap", "paper", "numpy"):
        assert word in done.stdout


def test_without_torch(small_onnx: Path, tmp_path: Path) -> None:
    """Without torch, the other engines are measured, and a line says what to install for the comparison."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    json_file = tmp_path / "bench.json"
    threads = ("--threads", "1", "--threads", "2")
    done = bench("--weights", small_onnx, *QUICK, *threads, "--json", json_file, first_in_path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    record = json.loads(json_file.read_text())
    assert_complete(record, threads=(1, 2))
    assert "pip install 'imse[torch]'" in record["left_out"]["torch"]
    assert f"torch left out: {record['left_out']['torch']}" in done.stdout
    for model in record["models"]:
        assert (model["parameters"], model["gmacs"]) == (None, None)
    for timing in record["timings"]:
        assert timing["speed_up"] is timing["peak_share"] is timing["agreement_db"] is None


def test_weights_that_are_not_there() -> None:
    done = bench("--weights", "nobody.onnx", *QUICK)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("imse: nobody.onnx: no such weights")


@pytest.mark.slow
def test_a_file_that_no_engine_opens(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    chosen = ("--engine", "native", "--engine", "onnx")
    done = bench("--weights", tmp_path / "text.onnx", *chosen, *QUICK, "--json", tmp_path / "bench.json")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert f"{tmp_path}/text.onnx: not an ONNX file" in line
    assert not (tmp_path / "bench.json").exists()


def test_an_output_that_cannot_be_written_is_found_first(tmp_path: Path) -> None:
    done = bench("--weights", "nobody.onnx", *QUICK, "--json", tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == f"imse: {tmp_path}: not a file; name a file to write"
