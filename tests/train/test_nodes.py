"""`torchrun` on two nodes, which are two groups of processes on this machine: one is lost, and the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from descendants import descendants
from imse.train.recipe import Recipe
from train.test_processes import free_port

_RECIPE = """
[network]
channels = {channels}
blocks = {blocks}
[data]
manifest = "{manifest}"
held_out_speakers = ["eve"]
held_out_noises = ["street"]
[loss]
metric = 0.0
[optim]
steps = 100000
batch_size = 2
segment_samples = 4000
[validation]
interval = 0
[run]
folder = "{folder}"
accelerator = "cpu"
log_interval = 1
checkpoint_minutes = 0.001
"""


@contextmanager
def nodes(arguments: list[str]) -> Iterator[list[subprocess.Popen[str]]]:
    """`imse train` by `torchrun` on two nodes, of one process each."""
    port = str(free_port())
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--master-addr", "localhost"]
    torchrun += ["--master-port", port]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    launched = [
        subprocess.Popen(
            [*torchrun, "--node-rank", str(rank), "-m", "imse", "train", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        yield launched
    finally:
        for node in launched:
            kill(node)
            node.communicate()


def kill(node: subprocess.Popen[str]) -> None:
    """All processes of a node at once."""
    for process in (node.pid, *descendants(node.pid)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@pytest.mark.slow
def test_a_node_is_lost(recipe: Recipe, manifest: Path, tmp_path: Path) -> None:
    """The other one ends, too, and both go on from the last checkpoint, which is in a folder that both see."""
    folder = tmp_path / "run"
    path = tmp_path / "recipe.toml"
    values = {"channels": recipe.network.channels, "blocks": recipe.network.blocks}
    path.write_text(_RECIPE.format(manifest=manifest, folder=folder, **values))
    with nodes([str(path)]) as (first, second):
        until = time.monotonic() + 240
        while not (folder / "last.ckpt").exists():
            assert time.monotonic() < until
            assert first.poll() is None, first.communicate()[0]
            time.sleep(0.1)
        kill(second)
        assert first.wait(120) != 0
    with nodes([str(folder), "--resume", "--set", "optim.minutes=0.001"]) as both:
        outputs = [node.communicate(timeout=240)[0] for node in both]
        assert [node.returncode for node in both] == [0, 0], outputs
    assert "best.safetensors" in outputs[0]
