"""A trained network whose output is part of the target that another one is trained on."""

from __future__ import annotations

from dataclasses import replace

import torch

from imse import checkpoint
from imse.nn.spectrum import analyse, synthesise
from imse.train.mixing import Batch
from imse.train.recipe import TeacherConfig
from imse.weights import find


class Teacher:
    """Knowledge distillation on waveforms (Hinton et al., arXiv 1503.02531).

    Args:
        config: Which network, and its share of the target.
        device: Where batches are.

    Raises:
        CheckpointError: The file does not hold a network.
    """

    def __init__(self, config: TeacherConfig, device: torch.device) -> None:
        self._network = checkpoint.load(find(config.weights, ".safetensors")).to(device)
        self._share = config.share

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Batch:
        """Mix the teacher's output into the targets of the rows that it teaches; the given batch stays as it is."""
        rows = batch.taught.nonzero().squeeze(-1)
        if not len(rows):
            return batch
        magnitude, phase = self._network(*analyse(batch.noisy[rows]))
        taught = synthesise(magnitude, phase, batch.noisy.shape[-1])
        clean = batch.clean.clone()
        clean[rows] = torch.lerp(batch.clean[rows], taught, self._share)
        return replace(batch, clean=clean)
