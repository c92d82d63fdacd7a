"""What every test may need: the reference material beside the checkout, where it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def _required(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"needs {default.name}/ beside the checkout (or ${variable}): see CONTRIBUTING.md")
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of the published weights and what the authors' code computes with them."""
    return _required("IMSE_REFERENCE", _SHARED / "reference")


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of speech and noise (train/) and of test pairs (test/)."""
    return _required("IMSE_DATA", _SHARED / "data")
