"""The weights in the package: each pair of files is one network, and all engines agree on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import imse.weights
from agreement import agreement_db
from imse import native
from imse.engine import ENGINES
from imse.signal.spectrum import SAMPLE_RATE

FOLDER = Path(imse.weights.__file__).parent
NAMES = sorted(file.stem for file in FOLDER.glob("*.safetensors"))
# All engines compute in float32, in different orders: 120 dB and more were measured. The torch engine has its own
# transform, with which the first frame differs (see `agreement`): 47 dB and more.
LEAST_AGREEMENT_DB = {"torch": 40}
# An engine in bfloat16 does not give the same samples.
FLOAT32_ENGINES = [engine for engine in ENGINES if engine != "torch-bf16"]


def test_every_file_has_its_partner() -> None:
    assert "default" in NAMES
    assert sorted(file.stem for file in FOLDER.glob("*.onnx")) == NAMES


@pytest.mark.parametrize("engine", FLOAT32_ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_engines_agree(name: str, engine: str, recording: NDArray[np.float32]) -> None:
    """On a second of noisy speech, with the weights found by their name."""
    if engine == "native" and not native.available():
        pytest.skip("the compiled engine was not built")
    second = recording[2 * SAMPLE_RATE : 3 * SAMPLE_RATE]
    found = agreement_db(engine, name, FOLDER / f"{name}.safetensors", second)
    assert found > LEAST_AGREEMENT_DB.get(engine, 90)


@pytest.mark.parametrize("name", NAMES)
def test_both_files_are_of_one_network(name: str) -> None:
    """The metadata of the ONNX file are those of the safetensors file: configuration, licence, training data."""
    import onnxruntime
    from safetensors import safe_open

    session = onnxruntime.InferenceSession(FOLDER / f"{name}.onnx", providers=["CPUExecutionProvider"])
    with safe_open(FOLDER / f"{name}.safetensors", framework="numpy") as file:
        assert session.get_modelmeta().custom_metadata_map == file.metadata()
