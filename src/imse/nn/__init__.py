"""The network family, defined in plain torch. Importing this package imports torch; `import imse` does not."""

from imse.nn.config import NetworkConfig
from imse.nn.network import IMSE, MUSE, Network

__all__ = ["IMSE", "MUSE", "Network", "NetworkConfig"]
