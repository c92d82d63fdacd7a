"""A run from its recipe to its best weights: steps, logs, validations, checkpoints."""

from __future__ import annotations

import copy
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from imse import checkpoint
from imse.atomic_write import atomic_write
from imse.errors import ImseError
from imse.nn import Network
from imse.signal.spectrum import SAMPLE_RATE
from imse.train import state, validation
from imse.train.check import check
from imse.train.data import open_data
from imse.train.interrupt import Interrupted, Interrupts
from imse.train.manifest import Split
from imse.train.progress import Bar, Board
from imse.train.recipe import Recipe
from imse.train.recipe_file import RUN_RECIPE
from imse.train.trainer import Trainer

BEST = "best.safetensors"


class Run:
    """One run in its folder. Everything is built and checked here, before step 1.

    All decisions that depend on time follow the clock of the first process, so that all processes take them together.

    Args:
        recipe: What to do.
        fabric: Devices and processes.
        resume: Go on from the folder's last checkpoint.
        split: What `imse.train.check.check` has found; by default it looks now.

    Raises:
        ImseError: The recipe or the data cannot be used, or the run cannot be resumed; the message says why.
        OSError: A file cannot be read.
    """

    def __init__(self, recipe: Recipe, fabric: Fabric, *, resume: bool = False, split: Split | None = None) -> None:
        self._recipe, self._fabric = recipe, fabric
        self._folder = Path(recipe.run.folder)
        self._started, self._seconds, self._best = time.monotonic(), 0.0, float("-inf")
        split = split or check(recipe, resume=resume)
        content = state.load(self._folder, dataclasses.asdict(recipe)) if resume else None
        source, self._utterances = open_data(recipe, split, fabric.device)
        self.trainer = Trainer(recipe, source, fabric)
        if content:
            self.trainer.load_state_dict(content["trainer"])
            self._seconds, self._best = content["seconds"], content["best"]
        if fabric.is_global_zero:
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._folder / RUN_RECIPE) as file:
                file.write(f"{json.dumps(dataclasses.asdict(recipe), indent=2)}\n".encode())

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        optim = self._recipe.optim
        return self._seconds / 60 / optim.minutes if optim.minutes > 0 else self.trainer.step / optim.steps

    @property
    def best_score(self) -> float | None:
        """The recipe's metric of the best weights in validation; None if there was none."""
        return self._best if self._best > float("-inf") else None

    def train(self) -> Path:
        """Train to the end of the recipe, with checkpoints and validations on the way.

        Returns:
            The file of the best weights by validation. It holds the last ones where the recipe never validates, or
            where no validation could compute the recipe's metric.

        Raises:
            Interrupted: Ctrl-C; the state after the last whole step has been saved.
        """
        interrupts = Interrupts(several=self._fabric.world_size > 1)
        with interrupts.handled():
            try:
                return self._train(interrupts)
            except KeyboardInterrupt:
                if interrupts.in_step:
                    raise  # a second Ctrl-C has broken the step; the checkpoint before it stays
                self._seconds = time.monotonic() - self._started
                self.save()
                raise Interrupted from None

    def _train(self, interrupts: Interrupts) -> Path:
        config, trainer = self._recipe.run, self.trainer
        interval = self._recipe.validation.interval
        board = Board(self._folder, active=self._fabric.is_global_zero)
        seconds_per_step = self._recipe.optim.batch_size * self._recipe.optim.segment_samples / SAMPLE_RATE
        self._started = time.monotonic() - self._seconds
        saved = logged = self._seconds
        validated = -1
        with Bar(active=self._fabric.is_global_zero) as bar:
            if interval and config.start_from and not trainer.step:
                bar.validated(0, self.validate(board))  # what the run has to improve on
            while self.progress < 1:
                with interrupts.after_step():
                    terms = trainer.train_step(self.progress)
                if trainer.step % config.log_interval == 0:
                    self._seconds = self._fabric.broadcast(time.monotonic() - self._started)
                    speed = config.log_interval * seconds_per_step / max(self._seconds - logged, 1e-9)
                    logged = self._seconds
                    scalars = {name: float(value) for name, value in terms.items()}
                    board.scalars({f"train/{name}": value for name, value in scalars.items()}, trainer.step)
                    board.scalars({"train/audio_seconds_per_second": speed}, trainer.step)
                    bar.update(self.progress, trainer.step, speed, scalars)
                    if self._seconds - saved > 60 * config.checkpoint_minutes:
                        self.save()
                        saved = self._seconds
                if interval and trainer.step % interval == 0:
                    bar.validated(trainer.step, self.validate(board))
                    validated = trainer.step
                if trainer.step % config.log_interval == 0:
                    self._stop_together(interrupts)
            if interval and validated != trainer.step:
                bar.validated(trainer.step, self.validate(board))
            self.save()
        board.close()
        if self.best_score is None and self._fabric.is_global_zero:
            self._export(self.trainer.exported_network)
        return self._folder / BEST

    def _stop_together(self, interrupts: Interrupts) -> None:
        """Raise `KeyboardInterrupt` in all processes if one of several was interrupted."""
        if self._fabric.world_size > 1:
            noted = torch.tensor(float(interrupts.noted), device=self._fabric.device)
            if self._fabric.all_reduce(noted, reduce_op="sum"):
                raise KeyboardInterrupt

    def _export(self, network: Network) -> None:
        if not all(parameter.isfinite().all() for parameter in network.parameters()):
            raise ImseError(
                "the network in training: weights that are not finite; lower optim.lr, or set optim.clip_norm"
            )
        metadata = {"name": self._recipe.name, "steps": str(self.trainer.step)}
        checkpoint.save(network, self._folder / BEST, metadata)

    def validate(self, board: Board) -> dict[str, float]:
        """Score whole held-out utterances, and keep the weights if they are the best so far.

        Returns:
            Mean of each metric.
        """
        config, fabric, step = self._recipe.validation, self._fabric, self.trainer.step
        # A copy: one in evaluation mode that is not compiled, as utterances have many lengths.
        network = copy.deepcopy(self.trainer.exported_network).eval()
        mine = self._utterances[fabric.global_rank :: fabric.world_size]
        enhanced = validation.enhance_utterances(network, fabric.device, mine)
        pairs = [(utterance.clean, estimate) for utterance, estimate in zip(mine, enhanced, strict=True)]
        scores = validation.measure(pairs, config.workers // fabric.world_size)
        means = {name: self._mean(values) for name, values in scores.items()}
        if fabric.is_global_zero:
            board.scalars({f"validation/{name}": value for name, value in means.items()}, step)
            for number, (utterance, estimate) in enumerate(list(zip(mine, enhanced, strict=True))[: config.samples]):
                sounds = [("noisy", utterance.noisy), ("enhanced", estimate), ("clean", utterance.clean)]
                board.samples(f"utterance{number}", sounds, step)
            if means[config.metric] > self._best:
                self._best = means[config.metric]
                self._export(network)
        fabric.barrier()
        return means

    def _mean(self, values: list[float]) -> float:
        """Mean over the utterances of all processes, without those that could not be scored."""
        known = np.asarray(values)[np.isfinite(values)]
        mine = torch.tensor([known.sum(), len(known)], dtype=torch.float32, device=self._fabric.device)
        total = self._fabric.all_reduce(mine, reduce_op="sum")
        assert isinstance(total, torch.Tensor)
        return float(total[0] / total[1])

    def save(self) -> None:
        """Write a checkpoint from which a resumed run goes on bit for bit."""
        content = {
            "recipe": dataclasses.asdict(self._recipe),
            "trainer": self.trainer.state_dict(),
            "seconds": self._seconds,
            "best": self._best,
        }
        if self._fabric.is_global_zero:
            state.save(content, self._folder)
