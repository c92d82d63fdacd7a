"""The network as an ONNX file that runs without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from imse.nn import Network


def export_onnx(network: Network, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network as ONNX with free batch and time axes."""
    raise NotImplementedError
