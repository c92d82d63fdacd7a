"""The learning rate as a function of how far a run is."""

from __future__ import annotations

import math

from imse.train.recipe import OptimConfig


def learning_rate(config: OptimConfig, step: int, progress: float) -> float:
    """Learning rate of a step.

    Args:
        config: Peak, warm-up and shape.
        step: Steps done.
        progress: Share of the run done, 0 to 1: steps by `steps`, or time by `minutes`.
    """
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if config.schedule == "cosine":
        shape = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    else:
        shape = config.decay ** (step // config.decay_steps)
    return config.lr * warmup * shape
