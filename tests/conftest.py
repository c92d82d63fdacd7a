"""Fixtures for all tests: the reference material beside the checkout, a small network, a recording."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

# One test process per processor, of one thread each: threads of several would wait for each other at every operation.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Some tests interrupt their own process, which ignores that if the tests were started as a background job of a script.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import hypothesis
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from imse.engine import ENGINES
from once import once

# Examples depend on the test alone, so that a failure is due to a change; `--hypothesis-profile new` draws others.
hypothesis.settings.register_profile("new", derandomize=False, print_blob=True)
hypothesis.settings.register_profile("fixed", derandomize=True, database=None)
hypothesis.settings.load_profile("fixed")

_ROOT = Path(__file__).resolve().parents[1]
_SHARED = _ROOT.parent / "shared"


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


@pytest.fixture(scope="session")
def example() -> Path:
    """The noisy recording that comes with the project: 5.3 s, 16 kHz, mono."""
    return _ROOT / "examples" / "dishes.flac"


@pytest.fixture(scope="session")
def recording(example: Path) -> NDArray[np.float32]:
    """Its samples."""
    samples, _ = soundfile.read(example, dtype="float32")
    return np.asarray(samples)


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small untrained network, as small.safetensors and small.onnx."""
    import torch

    from imse.checkpoint import save
    from imse.export.onnx import export_onnx
    from imse.nn import IMSE, NetworkConfig

    torch.manual_seed(1)
    network = IMSE(NetworkConfig(channels=8, blocks=1))

    def make(folder: Path) -> None:
        save(network, folder / "small.safetensors", {"name": "small"})
        export_onnx(network, folder / "small.onnx", {"name": "small"})

    return once(tmp_path_factory, "small", make) / "small.safetensors"


@pytest.fixture(scope="session", params=[name for name, entry in ENGINES.items() if not entry.extra])
def light_engine(request: pytest.FixtureRequest) -> str:
    """The engines of the light install, one after the other."""
    name = str(request.param)
    if not ENGINES[name].is_available():
        assert not any(map(shutil.which, ("c++", "g++", "clang++"))), f"install imse again: it has no engine '{name}'"
        pytest.skip(f"no C++ compiler was there when imse was installed, and so no engine '{name}'")
    return name


@pytest.fixture(scope="session")
def light_weights(light_engine: str, small_weights: Path) -> Path:
    """The small network as a file that the engine takes by default."""
    return small_weights.with_suffix(ENGINES[light_engine].suffix)


@pytest.fixture(scope="session")
def small_onnx(small_weights: Path) -> Path:
    """The ONNX file of the small network."""
    return small_weights.with_suffix(".onnx")


@pytest.fixture(scope="session")
def published_safetensors(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published weights as a safetensors file."""
    from imse.checkpoint import load, save
    from imse.export.onnx import export_onnx

    def make(folder: Path) -> None:
        network = load(reference / "imse_g_best_pesq_3.399")
        save(network, folder / "imse.safetensors")
        export_onnx(network, folder / "imse.onnx")

    return once(tmp_path_factory, "published", make) / "imse.safetensors"


@pytest.fixture(scope="session")
def published_onnx(published_safetensors: Path) -> Path:
    """The published weights, exported."""
    return published_safetensors.with_suffix(".onnx")


@pytest.fixture(scope="session")
def published_weights(request: pytest.FixtureRequest, light_engine: str) -> Path:
    """The published weights as a file that the engine takes by default."""
    suffix = ENGINES[light_engine].suffix
    path: Path = request.getfixturevalue(f"published_{suffix.removeprefix('.')}")
    return path
