"""Tests of the kernels need a C++ compiler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import pytest
from torch import Tensor

from imse.native.build import find_compiler
from imse.train.kernels import library, prepare
from imse.train.kernels.cache import library_path


@pytest.fixture(scope="session")
def kernels() -> Path:
    """The compiled library."""
    reason = prepare()
    if reason and find_compiler() is None:
        pytest.skip(f"the kernels cannot be compiled here: {reason}")
    assert reason is None
    return library_path()


@pytest.fixture
def called(kernels: Path) -> Iterator[list[str]]:  # noqa: ARG001
    """Names of the kernels that a test calls."""
    names: list[str] = []
    run = library.run

    def record(
        name: str, sizes: Sequence[int], maps: Sequence[Tensor], shared: Sequence[Tensor | None], out: Sequence[Tensor]
    ) -> None:
        names.append(name)
        run(name, sizes, maps, shared, out)

    with patch.object(library, "run", record):
        yield names
