"""Pairs of recordings: files of several folders matched by name, and checked before anything is scored."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imse.audio import ENHANCED_SUFFIX, AudioInfo, find_audio
from imse.evaluate.errors import EvaluationError
from imse.evaluate.recordings import inspect
from imse.signal.spectrum import HOP_LENGTH, SAMPLE_RATE

# Difference of length that an inverse STFT may leave: one hop of the network's.
LENGTH_TOLERANCE = HOP_LENGTH
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class Pair:
    """One clean recording and what is compared to it.

    Attributes:
        id: Path of the clean file relative to its folder, without extension, with "/" between folders.
        clean: The clean file.
        enhanced: One file for each enhanced folder.
        noisy: The noisy file, if there is a noisy folder.
        snr_db: The noisy file's signal-to-noise ratio by the index, if it gives one.
    """

    id: str
    clean: Path
    enhanced: tuple[Path, ...]
    noisy: Path | None = None
    snr_db: float | None = None

    @property
    def others(self) -> tuple[Path, ...]:
        """What is compared to the clean file: the noisy file, if there is one, and the enhanced ones."""
        return (self.noisy, *self.enhanced) if self.noisy else self.enhanced


def find_pairs(
    clean: Path,
    enhanced: Sequence[Path],
    noisy: Path | None,
    index: Path | None,
    tolerance: int = LENGTH_TOLERANCE,
) -> tuple[Pair, ...]:
    """Match the recordings of all folders by name, sorted by name.

    Args:
        clean: Folder of the clean recordings, searched recursively like the others.
        enhanced: Folders of enhanced recordings.
        noisy: Folder of the noisy recordings.
        index: Tab-separated table with the columns `id` and `snr_db`.
        tolerance: Largest difference of length to the clean file, in samples at 16 kHz.

    Raises:
        EvaluationError: A file without partner, with another rate or length than its clean partner's, or unreadable;
            an index that lacks a file. The message names the first such file and counts the others.
    """
    originals = _recordings(clean)
    systems = [_partners(originals, clean, folder, ENHANCED_SUFFIX) for folder in enhanced]
    noisy_files = _partners(originals, clean, noisy, "") if noisy else {}
    snrs = _read_index(index) if index else {}
    if index and (absent := [name for name in originals if name not in snrs]):
        raise EvaluationError(_summary(absent, f"not in the index {index}"))
    pairs = tuple(
        Pair(name, path, tuple(files[name] for files in systems), noisy_files.get(name), snrs.get(name))
        for name, path in originals.items()
    )
    _check_headers(pairs, tolerance)
    return pairs


def _recordings(folder: Path, suffix: str = "") -> dict[str, Path]:
    """Recordings under a folder by their name in it, without extension and `suffix`."""
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: not a folder")
    found: dict[str, Path] = {}
    for path in find_audio(folder):
        name = path.relative_to(folder).with_suffix("").as_posix().removesuffix(suffix)
        if name in found:
            raise EvaluationError(f"{path}: has the same name as {found[name].name}; which one is meant?")
        found[name] = path
    if not found:
        raise EvaluationError(f"{folder}: no recordings in it")
    return found


def _partners(originals: Mapping[str, Path], clean: Path, folder: Path, suffix: str) -> dict[str, Path]:
    found = _recordings(folder, suffix)
    if missing := [str(path) for name, path in originals.items() if name not in found]:
        raise EvaluationError(_summary(missing, f"no file of that name in {folder}"))
    if extra := [str(path) for name, path in found.items() if name not in originals]:
        raise EvaluationError(_summary(extra, f"no file of that name in {clean}"))
    return found


def _check_headers(pairs: Sequence[Pair], tolerance: int) -> None:
    problems = []
    for pair in pairs:
        clean = inspect(pair.clean)
        found = (_mismatch(pair.clean, clean, other, inspect(other), tolerance) for other in pair.others)
        problems += [problem for problem in found if problem]
    if problems:
        more = f" (and {len(problems) - 1} more such files)" if len(problems) > 1 else ""
        raise EvaluationError(problems[0] + more)


def _mismatch(clean: Path, ours: AudioInfo, other: Path, theirs: AudioInfo, tolerance: int) -> str | None:
    if theirs.sample_rate != ours.sample_rate:
        return f"{other}: {theirs.sample_rate} Hz, but {clean} has {ours.sample_rate} Hz"
    if abs(theirs.frames - ours.frames) > tolerance * ours.sample_rate / SAMPLE_RATE:
        hint = "; --align removes a delay of up to a second" if tolerance == LENGTH_TOLERANCE else ""
        return f"{other}: {theirs.frames} samples, but {clean} has {ours.frames}{hint}"
    return None


def _read_index(path: Path) -> dict[str, float | None]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # Excel puts a byte-order mark first
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path}: not text in UTF-8; an index is a tab-separated table in UTF-8") from error
    table = csv.DictReader(io.StringIO(text), delimiter="\t")
    try:
        for column in ("id", "snr_db"):
            if column not in (table.fieldnames or []):
                raise ValueError(f"no column '{column}'; an index is a tab-separated table with id and snr_db")
        return {row["id"]: _snr_db(row["snr_db"]) for row in table}
    except (csv.Error, ValueError) as error:
        raise EvaluationError(f"{path}: line {table.line_num}: {error}") from error


def _snr_db(text: str | None) -> float | None:
    if not text:
        return None
    snr_db = float(text)
    if not math.isfinite(snr_db):
        raise ValueError(f"an SNR must be a finite number, or empty, not {text}")
    return snr_db


def _summary(names: Sequence[str], problem: str) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN]) + (f" and {len(names) - _NAMES_SHOWN} more" if names[_NAMES_SHOWN:] else "")
    return f"{shown}: {problem}"
