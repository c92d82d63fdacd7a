"""Two processes on the CPU compute the same as one."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing.spawn import spawn

from imse.train.loop import Run
from imse.train.recipe import Recipe
from imse.train.trainer import make_fabric


def train(rank: int, world: int, recipe: Recipe, port: int, results: Path) -> None:
    """What each process started by `torchrun` does."""
    import os

    torch.set_num_threads(1)
    # Each process drops other values out, which is right, but not what is compared here.
    setattr(torch.nn.Dropout, "forward", lambda _, x: x)  # noqa: B010 - a method, to the type checker
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    os.environ |= {"GROUP_RANK": "0", "ROLE_RANK": str(rank), "ROLE_WORLD_SIZE": str(world)}
    run = Run(recipe, make_fabric(recipe))
    try:
        run.trainer.train_step(0.0)
        gradients = {name: p.grad.clone() for name, p in run.trainer.network.named_parameters() if p.grad is not None}
        run.trainer.train_step(0.0)
        run.save()
        torch.save(gradients, results / f"{world}.{rank}.pt")
    finally:
        run.trainer.close()
        if world > 1:
            torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Largest difference relative to the largest value, over all tensors at once."""
    assert one.keys() == other.keys()
    most = max(float(value.abs().max()) for value in one.values())
    return max(float((one[name] - other[name]).abs().max()) for name in one) / most


@pytest.mark.slow
def test_two_processes_get_the_gradients_of_one(adversarial: Recipe, tmp_path: Path) -> None:
    recipe = replace(adversarial, optim=replace(adversarial.optim, clip_norm=0.0))
    for world in (1, 2):
        own = replace(recipe, run=replace(recipe.run, folder=str(tmp_path / f"run{world}")))
        spawn(train, (world, own, free_port(), tmp_path), nprocs=world)  # type: ignore[no-untyped-call]
    alone = torch.load(tmp_path / "1.0.pt", weights_only=True)
    for rank in (0, 1):
        assert difference(torch.load(tmp_path / f"2.{rank}.pt", weights_only=True), alone) < 1e-4
    # The checkpoint of two processes holds the scored rows of both, in the order of one.
    alone, both = (
        torch.load(tmp_path / f"run{world}" / "last.ckpt", weights_only=True)["trainer"]["adversary"]["scored"]
        for world in (1, 2)
    )
    torch.testing.assert_close(both[0], alone[0])
    assert [part.shape for part in both] == [part.shape for part in alone]
