"""Parts of the network in forms that train faster or in less memory.

`prepare` compiles kernels for the CPU, and `accelerate` makes a network use them. `recompute` makes deformable
embeddings store less, on every device.
"""

from imse.train.kernels.accelerate import accelerate
from imse.train.kernels.deformable import recompute
from imse.train.kernels.library import prepare

__all__ = ["accelerate", "prepare", "recompute"]
