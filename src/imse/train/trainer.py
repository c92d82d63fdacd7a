"""The training loop.

Lightning Fabric gives devices, precision and DDP and leaves the loop to us, which two optimisers (network and
discriminator) and a bit-exact resume need. HF Accelerate does the same, but wraps schedulers and data loaders too,
of which there are none here.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from imse import checkpoint
from imse.nn import IMSE
from imse.train import corpus as corpora
from imse.train import schedule, state, validation
from imse.train.manifest import split_manifest, split_pairs
from imse.train.mixing import Draw, Mixer, Pairs
from imse.train.objective import Objective, enhance
from imse.train.recipe import Recipe

BEST = "best.safetensors"


def make_fabric(recipe: Recipe) -> Fabric:
    """Devices and processes: one, or those that `torchrun` started."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=recipe.run.accelerator,
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision=recipe.optim.precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


class Trainer:
    """One run: everything is built and checked here, before step 1.

    Args:
        recipe: What to do.
        fabric: Devices and processes.

    Raises:
        ImseError: The recipe or the data cannot be used; the message names the key or file.
    """

    def __init__(self, recipe: Recipe, fabric: Fabric) -> None:
        schedule.check(recipe.optim)
        self.recipe, self.fabric = recipe, fabric
        optim = recipe.optim
        self.folder = Path(recipe.run.folder)
        share = optim.batch_size // fabric.world_size
        self._rows = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)

        paired = bool(recipe.data.clean)
        split = split_pairs(recipe.data) if paired else split_manifest(recipe.data)
        cache = Path(recipe.data.cache) if recipe.data.cache else None
        corpus = corpora.load(split.train, cache)
        if recipe.data.resident:
            corpus = corpus.to(fabric.device)
        self._source = (
            Pairs(corpus, optim.segment_samples) if paired else Mixer(corpus, recipe.mixing, optim.segment_samples)
        )
        held_out = corpora.load(split.held_out, cache)
        self.utterances = (
            validation.pair_utterances(held_out, recipe.validation)
            if paired
            else validation.mix_utterances(held_out, recipe.validation, recipe.seed)
        )

        torch.manual_seed(recipe.seed)
        self.plain = IMSE(recipe.network).to(fabric.device)
        self.optimizer = torch.optim.AdamW(
            self.plain.parameters(), lr=optim.lr, betas=optim.betas, weight_decay=optim.weight_decay
        )
        self.average = (
            AveragedModel(self.plain, multi_avg_fn=get_ema_multi_avg_fn(optim.ema)) if optim.ema > 0 else None
        )
        network = torch.compile(self.plain) if optim.compile else self.plain
        self.network, self._fabric_optimizer = fabric.setup(network, self.optimizer)
        self.objective = Objective(recipe.loss, fabric.device)
        self.step = 0
        self.seconds = 0.0
        self.best = float("-inf")

    @property
    def exported(self) -> IMSE:
        """The network that is validated and shipped: the averaged one where there is an average."""
        if self.average is None:
            return self.plain
        module = self.average.module
        assert isinstance(module, IMSE)
        return module

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        optim = self.recipe.optim
        return self.seconds / 60 / optim.minutes if optim.minutes > 0 else self.step / optim.steps

    def train_step(self, progress: float) -> dict[str, torch.Tensor]:
        """One optimiser step; the terms of the loss stay on the device."""
        recipe, optim = self.recipe, self.recipe.optim
        batch = self._source.batch(Draw(recipe.seed, self.step, optim.batch_size, self._rows))
        spectra = enhance(self.network, batch)
        terms = self.objective(spectra, batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(self.objective.total(terms))
        if optim.clip_norm > 0:
            norm = self.fabric.clip_gradients(self.network, self._fabric_optimizer, max_norm=optim.clip_norm,
                                              error_if_nonfinite=False)
            terms["gradient_norm"] = norm
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.learning_rate(optim, self.step, progress)
        self._fabric_optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.plain)
        self.step += 1
        return {name: term.detach() for name, term in terms.items()}

    def run(self) -> None:
        """Train to the end of the recipe, with checkpoints and validations on the way."""
        recipe = self.recipe
        started, before, saved = time.monotonic(), self.seconds, time.monotonic()
        progress = self.progress
        while progress < 1:
            terms = self.train_step(progress)
            boundary = self.step % recipe.run.log_interval == 0
            if boundary or recipe.optim.minutes == 0:
                # All processes must agree on the clock, so only rank 0's counts.
                self.seconds = before + time.monotonic() - started
                if recipe.optim.minutes > 0:
                    self.seconds = self.fabric.broadcast(self.seconds)
                progress = self.progress
            if boundary and self.fabric.is_global_zero:
                values = {k: round(float(v), 4) for k, v in terms.items()}
                print(self.step, round(self.seconds), round(progress, 4), values, flush=True)
            if recipe.validation.interval and self.step % recipe.validation.interval == 0:
                self.validate()
            if self.fabric.is_global_zero and time.monotonic() - saved > 60 * recipe.run.checkpoint_minutes:
                self.save()
                saved = time.monotonic()
        self.validate()
        if self.fabric.is_global_zero:
            self.save()

    def validate(self) -> None:
        """Score whole held-out utterances, and keep the weights if they are the best so far."""
        rank, world = self.fabric.global_rank, self.fabric.world_size
        network = self.exported.eval()
        pairs = [
            (utterance.clean, validation.enhance(network, utterance.noisy, self.fabric.device))
            for utterance in self.utterances[rank::world]
        ]
        mine = validation.measure(pairs, self.recipe.validation.workers // world)
        network.train()
        scores = self.fabric.all_reduce(mine, reduce_op="mean")
        if not self.fabric.is_global_zero:
            return
        scores = {name: float(value) for name, value in scores.items()}
        print("VALIDATION", self.step, round(self.seconds), scores, flush=True)
        if scores[self.recipe.validation.metric] > self.best:
            self.best = scores[self.recipe.validation.metric]
            checkpoint.save(self.exported, self.folder / BEST, {"step": str(self.step)})

    def save(self) -> None:
        """Write a checkpoint to resume from."""
        content: dict[str, Any] = {
            "recipe": dataclasses.asdict(self.recipe),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "network": self.plain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
        }
        state.save(content, self.folder)

    def resume(self) -> None:
        """Go on from the run folder's last checkpoint."""
        content = state.load(self.folder, dataclasses.asdict(self.recipe))
        self.plain.load_state_dict(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(content["average"])
        self.step, self.seconds, self.best = content["step"], content["seconds"], content["best"]
