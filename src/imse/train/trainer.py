"""One optimiser step, and the state that the next one depends on.

Lightning Fabric provides devices, precision and DDP. The loop is our own, as two optimisers (network and discriminator)
and a bit-exact resume need it. HF Accelerate does the same, but also wraps schedulers and data loaders, which are not
used here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from imse import checkpoint
from imse.nn import Network
from imse.nn.spectrum import synthesise
from imse.train.adversary import Adversary
from imse.train.data import BatchSource
from imse.train.growth import deepen
from imse.train.kernels import accelerate, recompute
from imse.train.mixing import Draw
from imse.train.objective import Objective, estimate
from imse.train.recipe import Recipe, RecipeError
from imse.train.schedule import learning_rate
from imse.train.teacher import Teacher
from imse.weights import find


def make_fabric(recipe: Recipe) -> Fabric:
    """Devices and processes: one, or those that `torchrun` started.

    Raises:
        RecipeError: The recipe names a device that is not there.
    """
    local, world = (int(os.environ.get(name, "1")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    try:
        fabric = Fabric(
            accelerator=recipe.run.accelerator,
            devices=local,
            num_nodes=world // local,
            strategy="ddp" if world > 1 else "auto",
            precision=recipe.optim.precision,
        )
    except RuntimeError as error:
        raise RecipeError(
            f"run.accelerator: this machine has no '{recipe.run.accelerator}' that can be used"
        ) from error
    fabric.launch()
    return fabric


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory could not be allocated, on any device."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "t allocate memory" in str(error)


def _network(recipe: Recipe) -> Network:
    if not recipe.run.start_from:
        return Network(recipe.network)
    network = checkpoint.load(find(recipe.run.start_from, ".safetensors"))
    if network.config.blocks < recipe.network.blocks:
        network = deepen(network, recipe.network.blocks)
    if network.config != recipe.network:
        raise RecipeError(f"run.start_from: {recipe.run.start_from} holds another network: {network.config}")
    return network.train()


def _moving(decay: float) -> Callable[..., None]:
    average: Callable[..., None] = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return average


class Trainer:
    """Network, discriminator, their optimisers, and the average of the network's weights.

    Args:
        recipe: What to do.
        source: Where batches come from.
        fabric: Devices and processes.

    Raises:
        RecipeError: The batch cannot be shared between the processes, or the weights to start from do not fit.
    """

    def __init__(self, recipe: Recipe, source: BatchSource, fabric: Fabric) -> None:
        optim = recipe.optim
        share, rest = divmod(optim.batch_size, fabric.world_size)
        if rest:
            raise RecipeError(f"optim.batch_size: {optim.batch_size} cannot be shared by {fabric.world_size} processes")
        self.recipe, self.fabric, self.step = recipe, fabric, 0
        self._source = source
        self._rows = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)

        torch.manual_seed(recipe.seed)
        self.network = _network(recipe).to(fabric.device)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=optim.lr, betas=optim.betas, weight_decay=optim.weight_decay
        )
        # The average starts as a copy. It is made first, so that it stays as `imse.nn` defines it.
        self._average = AveragedModel(self.network, multi_avg_fn=_moving(optim.ema)) if optim.ema else None
        recompute(self.network)
        if fabric.device.type == "cpu":
            accelerate(self.network)
        if optim.compile:
            self.network.compile()
        self._wrapped, self._stepper = fabric.setup(self.network, self._optimizer)
        self._teacher = Teacher(recipe.teacher, fabric.device) if recipe.teacher.weights else None
        self._objective = Objective(recipe.loss, fabric.device)
        self._adversary = Adversary(optim, fabric, recipe.loss.pesq_workers) if recipe.loss.metric > 0 else None

    @property
    def exported_network(self) -> Network:
        """The network that is validated and exported: the averaged one where there is an average."""
        network = self._average.module if self._average else self.network
        assert isinstance(network, Network)
        return network

    def train_step(self, progress: float) -> dict[str, Tensor]:
        """One optimiser step of the discriminator, if there is one, and of the network.

        Args:
            progress: Share of the run that is done; it sets the learning rate of the cosine schedule.

        Returns:
            The terms of the loss and the norm of the gradient, still on the device.
        """
        recipe, optim, adversary = self.recipe, self.recipe.optim, self._adversary
        lr = learning_rate(optim, self.step, progress)
        # Dropout's numbers depend on the step alone, so that nothing has to be remembered for a resume.
        torch.manual_seed((recipe.seed * 1_000_003 + self.step) * self.fabric.world_size + self.fabric.global_rank)
        batch = self._source.batch(Draw(recipe.seed, self.step, optim.batch_size, self._rows))
        if self._teacher:
            batch = self._teacher(batch)
        spectra = estimate(self._wrapped, batch)
        logged: dict[str, Tensor] = {}
        if adversary:
            waveform = synthesise(*spectra.estimate, batch.noisy.shape[-1])
            learned = adversary.learn(lr)
            if learned is not None:
                logged["discriminator"] = learned
            adversary.stage(spectra, batch.clean, waveform)
            terms = self._objective(spectra, batch, waveform)
            terms["metric"] = adversary.term(spectra)
        else:
            terms = self._objective(spectra, batch)
        self._optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(self._objective.total(terms))
        if optim.clip_norm > 0:
            norm = self.fabric.clip_gradients(
                self._wrapped, self._stepper, max_norm=optim.clip_norm, error_if_nonfinite=False
            )
            assert norm is not None
            logged["gradient_norm"] = norm
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._stepper.step()
        if self._average:
            self._average.update_parameters(self.network)
        if adversary:
            adversary.submit()
        self.step += 1
        return {name: value.detach() for name, value in (terms | logged).items()}

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on. All processes must call it; random numbers follow from seed and step."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average.state_dict() if self._average else None,
            "adversary": self._adversary.state_dict() if self._adversary else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a `state_dict`, whatever the number of processes was then."""
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average:
            self._average.load_state_dict(state["average"])
        if self._adversary:
            self._adversary.load_state_dict(state["adversary"], self._rows)

    def close(self) -> None:
        """End the processes that compute PESQ."""
        if self._adversary:
            self._adversary.close()
