"""The network family, defined in plain torch. It is imported with the first network; `NetworkConfig` needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imse.nn.config import NetworkConfig

if TYPE_CHECKING:
    from imse.nn.network import IMSE, MUSE, Network

__all__ = ["IMSE", "MUSE", "Network", "NetworkConfig"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import imse.nn.network as module

        return getattr(module, name)
    raise AttributeError(f"module 'imse.nn' has no attribute '{name}'")
