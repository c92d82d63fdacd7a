"""Compiled kernels for training on a CPU: `prepare` compiles them, `accelerate` makes a network use them."""

from imse.train.kernels.accelerate import accelerate
from imse.train.kernels.library import prepare

__all__ = ["accelerate", "prepare"]
