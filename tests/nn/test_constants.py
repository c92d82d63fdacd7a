"""The numbers that C++ and Python both state are the same."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from imse import native
from imse.native.build import find_compiler
from imse.nn import constants
from imse.nn.rotary import rotary_speeds
from imse.signal import spectrum

HEADER = Path(native.__file__).parent / "common" / "architecture.h"
SPECTRUM = HEADER.with_name("spectrum.h")
CONSTANT = re.compile(r"^constexpr (?:int|float|double) (\w+) = ([\d.e+-]+)f?;", re.MULTILINE)


def test_the_header_has_the_constants_of_the_network() -> None:
    in_cpp = {name: float(value) for name, value in CONSTANT.findall(HEADER.read_text())}
    in_python = {name: float(value) for name, value in vars(constants).items() if name.isupper()}
    assert in_cpp == {**in_python, "BINS_MULTIPLE": native.BINS_MULTIPLE}


def test_the_header_has_the_constants_of_the_spectrum() -> None:
    in_cpp = {name: float(value) for name, value in CONSTANT.findall(SPECTRUM.read_text())}
    assert in_cpp == {name: getattr(spectrum, name) for name in ("SAMPLE_RATE", "N_FFT", "HOP_LENGTH", "COMPRESSION")}


@pytest.mark.skipif(find_compiler() is None, reason="needs a C++ compiler")
def test_the_header_has_the_speeds_of_the_rotary_embedding(tmp_path: Path) -> None:
    source, program = tmp_path / "speeds.cpp", tmp_path / "speeds"
    source.write_text(
        f'#include "{HEADER}"\n#include <cstdio>\n'
        'int main() { for (float speed : imse::ROTARY_SPEEDS) std::printf("%.9g ", speed); }\n'
    )
    subprocess.run([*(find_compiler() or ()), "-std=c++17", str(source), "-o", str(program)], check=True)
    printed = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    in_cpp = np.array(printed.split(), np.float32)
    np.testing.assert_array_equal(in_cpp, rotary_speeds(constants.HEAD_SIZE).numpy())
    assert in_cpp.tolist() == [1, np.float32(1e-4)]
