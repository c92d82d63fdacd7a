"""The picture of the architecture is up to date."""

from __future__ import annotations

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "docs" / "architecture.py"


def test_the_picture_is_up_to_date() -> None:
    drawn = runpy.run_path(str(SCRIPT))["draw"]()
    assert SCRIPT.with_suffix(".svg").read_text(encoding="utf-8") == drawn, "run python docs/architecture.py"
