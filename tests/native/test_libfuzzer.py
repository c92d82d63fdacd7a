"""The harnesses of libFuzzer find nothing in a few seconds; `python tests/native/libfuzzer.py` looks for longer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import libfuzzer
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("clang++"), reason="needs clang: see .ci/run")]


def test_any_weights_and_any_signal(tmp_path: Path) -> None:
    source = tmp_path / "empty.cpp"
    source.write_text('extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }')
    trial = ["clang++", "-fsanitize=fuzzer,address", str(source), "-o", str(tmp_path / "empty")]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("this clang has no libFuzzer")
    libfuzzer.build(tmp_path)
    for target, runs in (("weights", 400), ("signal", 100)):
        assert libfuzzer.fuzz(target, tmp_path, f"-runs={runs}", "-seed=1") == 0
