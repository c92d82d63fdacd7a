"""The numbers that C++ and Python both state are the same."""

from __future__ import annotations

import re
from pathlib import Path

from imse import native
from imse.nn import constants

HEADER = Path(native.__file__).parent / "common" / "architecture.h"
CONSTANT = re.compile(r"^constexpr (?:int|float|double) (\w+) = ([\d.e+-]+)f?;", re.MULTILINE)


def test_the_header_has_the_constants_of_the_network() -> None:
    in_cpp = {name: float(value) for name, value in CONSTANT.findall(HEADER.read_text())}
    in_python = {name: float(value) for name, value in vars(constants).items() if name.isupper()}
    assert in_cpp == {**in_python, "BINS_MULTIPLE": native.BINS_MULTIPLE}
