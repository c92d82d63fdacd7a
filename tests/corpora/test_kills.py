"""Workers, nodes and the command itself are killed in mid-run; the same command again, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from ray.cluster_utils import Cluster

from corpora.material import contents, rows
from descendants import descendants
from imse import Enhancer

pytestmark = pytest.mark.slow

_FILES = 16


@pytest.fixture(scope="module")
def many(recording: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings that take two workers some seconds, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(_FILES):
        soundfile.write(folder / f"{number:02}.flac", np.roll(recording, 999 * number), 16_000)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


@pytest.fixture(scope="module")
def expected(many: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("expected")
    enhancer = Enhancer(small_weights, "native")
    for path in many.glob("*.flac"):
        enhancer.enhance_file(path, folder / path.name)
    return contents(folder)


def done(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*.flac")}


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_workers_and_then_the_command(
    many: Path, expected: dict[str, bytes], small_weights: Path, tmp_path: Path
) -> None:
    """What killed workers did is done by others in the same run. What is complete when the command is killed stays."""
    call: list[str | Path] = [sys.executable, "-m", "imse", "corpus", many, tmp_path, "--weights", small_weights]
    with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        wait_for(lambda: len(done(tmp_path)) >= 2)
        wait_for(lambda: descendants(first.pid, "ray::MapBatches"))
        for worker in descendants(first.pid, "ray::MapBatches"):
            os.kill(worker, signal.SIGKILL)
        wait_for(lambda: len(done(tmp_path)) >= 4)
        raylets = descendants(first.pid, "raylet")
        first.kill()
    early = done(tmp_path)
    assert len(early) < _FILES
    assert early.items() <= expected.items()
    wait_for(lambda: not any(Path(f"/proc/{process}").exists() for process in raylets))  # nothing runs on
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("[!.]*.flac")}
    second = subprocess.run(call, capture_output=True, text=True, check=False)
    assert second.returncode == 1  # there is the broken one
    assert f"{len(written)} were complete before" in second.stdout
    assert "1 recording could not be read" in second.stderr
    assert done(tmp_path) == expected
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert [Path(row["path"]).name for row in rows(tmp_path / "errors.parquet")] == ["broken.wav"]
    assert not list(tmp_path.glob(".imse-partial*"))


@pytest.fixture
def two_nodes() -> Iterator[Any]:
    """A cluster of a node for no worker, and two nodes with a worker each; Ray in this process is another one."""
    soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": soon}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    lost, _ = (nodes.add_node(num_cpus=1) for _ in range(2))
    yield nodes, lost
    nodes.shutdown()


def test_a_node_is_lost(
    two_nodes: Any, many: Path, expected: dict[str, bytes], small_weights: Path, tmp_path: Path
) -> None:
    """What it was doing is done by the others."""
    nodes, lost = two_nodes
    call: list[str | Path] = [sys.executable, "-m", "imse", "corpus", many, tmp_path, "--weights", small_weights]
    with subprocess.Popen([*call, "--address", nodes.address], stdout=subprocess.PIPE, text=True) as process:
        wait_for(lambda: len(done(tmp_path)) >= 4)
        nodes.remove_node(lost, allow_graceful=False)
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 1  # there is the broken one
    assert f"{_FILES} files in " in said  # Ray says something of the node, too
    assert done(tmp_path) == expected
