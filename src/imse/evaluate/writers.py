"""An evaluation as JSON, with everything, and as a table of comma-separated values, one line for each file."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imse import __version__
from imse.atomic_write import atomic_write
from imse.evaluate.results import Evaluation, System


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write summaries, comparisons and the scores of every file, whole or not at all."""
    write_text(json.dumps(_document(evaluation), indent=1, allow_nan=False), path)


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """Write the scores of every file, whole or not at all; a missing score is empty, its reason in the last column."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["system", "id", "snr_db", "delay_samples", "removed_samples", "cut_samples", *evaluation.measures, "missing"]
    )
    for system in evaluation.systems:
        for pair, file in zip(evaluation.pairs, system.files, strict=True):
            reasons = "; ".join(f"{reason}: {measures}" for reason, measures in _by_reason(file.missing).items())
            scores = [file.values.get(measure) for measure in evaluation.measures]
            delays = [file.delay_samples, file.removed_samples, file.cut_samples]
            table.writerow([system.name, file.id, pair.snr_db, *delays, *scores, reasons])
    write_text(text.getvalue(), path)


def write_text(text: str, path: Path) -> None:
    """Write a text file in UTF-8, whole or not at all; missing folders are made."""
    with atomic_write(path) as file:
        file.write(text.encode())


def _by_reason(missing: dict[str, str]) -> dict[str, str]:
    counts = Counter(missing.values())
    return {reason: ", ".join(name for name, why in missing.items() if why == reason) for reason in counts}


def _document(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "imse": __version__,
        "measures": evaluation.measures,
        "pairs": len(evaluation.pairs),
        "aligned": evaluation.aligned,
        "noisy": _system(evaluation, evaluation.noisy) if evaluation.noisy else None,
        "enhanced": [_system(evaluation, system) for system in evaluation.enhanced],
        "comparisons": [
            asdict(comparison) for measure in evaluation.measures for comparison in evaluation.comparisons(measure)
        ],
    }


def _system(evaluation: Evaluation, system: System) -> dict[str, Any]:
    return {
        "name": system.name,
        "folder": str(system.folder),
        "summary": {measure: asdict(evaluation.summary(system, measure)) for measure in evaluation.measures},
        "files": [
            {
                "id": file.id,
                "snr_db": pair.snr_db,
                "delay_samples": file.delay_samples,
                "removed_samples": file.removed_samples,
                "cut_samples": file.cut_samples,
                "scores": file.values,
                "missing": file.missing,
            }
            for pair, file in zip(evaluation.pairs, system.files, strict=True)
        ],
    }
