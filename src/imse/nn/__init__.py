"""The network family in torch. Importing this package imports torch; `imse` itself never does."""

from imse.nn.config import NetworkConfig
from imse.nn.network import IMSE, MUSE, Network

__all__ = ["IMSE", "MUSE", "Network", "NetworkConfig"]
