"""The discriminator's side of the training: its optimiser, the PESQ that it learns from, its term of the objective."""

from __future__ import annotations

from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from imse.train.discriminator import Discriminator, ScoredBatch, discriminator_loss, metric_loss
from imse.train.objective import Spectra
from imse.train.pesq_pool import PesqPool
from imse.train.recipe import OptimConfig


class Adversary:
    """Trains a discriminator one step behind the network, as PESQ of a step overlaps with the next one.

    Args:
        optim: Step sizes; the network's.
        fabric: Devices and processes.
        workers: Processes for PESQ.
    """

    def __init__(self, optim: OptimConfig, fabric: Fabric, workers: int) -> None:
        self._fabric = fabric
        self._plain = Discriminator().to(fabric.device)
        self._optimizer = torch.optim.AdamW(
            self._plain.parameters(), lr=optim.lr, betas=optim.betas, weight_decay=optim.weight_decay
        )
        self._wrapped, self._stepper = fabric.setup(self._plain, self._optimizer)
        self._pesq = PesqPool(workers)

    def learn(self, lr: float) -> Tensor | None:
        """Train the discriminator on the step before; its loss, or None where there is none yet."""
        scored = self._pesq.collect()
        if scored is None:
            return None
        loss = discriminator_loss(self._wrapped, scored)
        self._optimizer.zero_grad(set_to_none=True)
        self._fabric.backward(loss)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._stepper.step()
        return loss.detach()

    def term(self, spectra: Spectra) -> Tensor:
        """The metric loss of an estimate. The discriminator's own weights get no gradient from it."""
        self._plain.requires_grad_(False)
        loss = metric_loss(self._plain, spectra.clean[0], spectra.estimate[0])
        self._plain.requires_grad_(True)
        return loss

    def stage(self, spectra: Spectra, clean: Tensor, estimate: Tensor) -> None:
        """Start the copy of a step's estimates to where PESQ is computed, without waiting for it.

        Args:
            spectra: Those of the step.
            clean: Target waveforms [B, samples].
            estimate: Estimated waveforms [B, samples].
        """
        self._pesq.stage(spectra.clean[0], spectra.estimate[0], torch.stack([clean, estimate]))

    def submit(self) -> None:
        """Have PESQ computed of what was staged, while the next step goes on."""
        self._pesq.submit()

    def close(self) -> None:
        """End the processes that compute PESQ."""
        self._pesq.close()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on; waits for PESQ of the last one. All processes must call it."""
        scored = self._pesq.collect()
        return {
            "discriminator": self._plain.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scored": scored and [self._gather(part) for part in (scored.clean, scored.estimate, scored.quality)],
        }

    def _gather(self, part: Tensor) -> Tensor:
        """The rows of all processes, so that another number of processes may go on with them."""
        if self._fabric.world_size == 1:
            return part
        gathered = [torch.empty_like(part) for _ in range(self._fabric.world_size)]
        torch.distributed.all_gather(gathered, part.contiguous())
        return torch.cat(gathered)

    def load_state_dict(self, state: dict[str, Any], rows: slice) -> None:
        """Go back to a `state_dict`, of whose scored batch this process takes its rows."""
        self._plain.load_state_dict(state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])
        if state["scored"] is not None:
            self._pesq.restore(ScoredBatch(*(part[rows].to(self._fabric.device) for part in state["scored"])))
