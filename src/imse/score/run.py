"""Scoring many recordings; those that cannot be read do not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from imse.errors import ImseError, describe
from imse.score.harm import Change, compare, warnings
from imse.score.items import Item
from imse.score.recording import Quality, Recording, measure
from imse.workers import SpawnedPool


@dataclass(frozen=True)
class Score:
    """What came of one item.

    Attributes:
        item: The recording.
        quality: Its quality; None if it could not be read.
        before: Quality before enhancement; None if there is no such file, or it could not be read.
        change: What enhancement did; None without both.
        warnings: Where it seems to have harmed the recording.
        errors: One line for each file that could not be read, or not to its end.
    """

    item: Item
    quality: Quality | None
    before: Quality | None = None
    change: Change | None = None
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def score(items: Sequence[Item], jobs: int, progress: Callable[[int, int], None]) -> list[Score]:
    """Score recordings, several at a time.

    Args:
        items: What to score.
        jobs: Processes.
        progress: Called after each item with the number of those done and of all.

    Raises:
        ImseError: A process died.
    """
    if jobs == 1 or len(items) == 1:
        scores = []
        for item in items:
            scores.append(score_item(item))
            progress(len(scores), len(items))
        return scores
    with SpawnedPool(min(jobs, len(items))) as pool:
        futures = [pool.submit(score_item, item) for item in items]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                progress(done, len(items))
        except BrokenProcessPool as error:
            lost = [str(item.path) for item, future in zip(items, futures, strict=True) if future.exception()]
            raise ImseError(f"a process died, at one of these: {', '.join(lost[: jobs + 1])}") from error
        return [future.result() for future in futures]


def score_item(item: Item) -> Score:
    """Score one recording."""
    after, problem = _measured(item.path)
    before, problem_before = _measured(item.before) if item.before else (None, None)
    errors = tuple(line for line in (problem_before, problem) if line)
    quality, quality_before = (found.quality if found else None for found in (after, before))
    if not after or not before:
        return Score(item, quality, quality_before, errors=errors)
    change = compare(before, after)
    return Score(item, quality, quality_before, change, warnings(before.quality, after.quality, change), errors)


def _measured(path: Path) -> tuple[Recording | None, str | None]:
    """A recording, if it can be read, and one line if it cannot, or not to its end."""
    try:
        recording = measure(path)
    except (ImseError, OSError) as error:
        return None, describe(error)
    except MemoryError:
        return None, f"{path}: not enough memory"
    return recording, recording.quality.damage
