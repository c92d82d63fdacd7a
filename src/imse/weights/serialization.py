"""Safetensors files whose bytes depend on their content alone, so that the same content gives the same file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import save

_ALIGNMENT = 8  # bytes, of the tensors' data in the file


def serialize(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file, with metadata sorted by key.

    `safetensors` itself writes metadata in an order that differs from process to process.

    Args:
        tensors: Arrays by name.
        metadata: Text by key.
    """
    content = save(dict(tensors), dict(metadata))
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + content[start:]
