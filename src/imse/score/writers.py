"""Scores as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imse import __version__
from imse.evaluate.writers import write_text
from imse.score.run import Score


def write_json(scores: Sequence[Score], path: Path) -> None:
    """Write everything that is known of each recording, whole or not at all."""
    document = {"imse": __version__, "recordings": [_recording(score) for score in scores]}
    write_text(json.dumps(document, indent=1, allow_nan=False), path)


def _recording(score: Score) -> dict[str, Any]:
    return {
        "name": score.item.name,
        "file": str(score.item.path),
        "quality": score.quality and asdict(score.quality),
        "file_before": score.item.before and str(score.item.before),
        "quality_before": score.before and asdict(score.before),
        "change": score.change and asdict(score.change),
        "warnings": score.warnings,
        "errors": score.errors,
    }
