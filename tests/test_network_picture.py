"""The picture of the network in the docs is up to date."""

from __future__ import annotations

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "docs" / "network_picture.py"


def test_the_picture_is_up_to_date() -> None:
    drawn = runpy.run_path(str(SCRIPT))["draw"]()
    assert SCRIPT.with_suffix(".svg").read_text(encoding="utf-8") == drawn, "run python docs/network_picture.py"
