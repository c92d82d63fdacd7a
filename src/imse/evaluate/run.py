"""Evaluation of folders: every file scored, on as many processors as wanted."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from pathlib import Path

from imse.errors import ImseError
from imse.evaluate.delays import LONGEST_DELAY, delay, remove_delay
from imse.evaluate.errors import EvaluationError
from imse.evaluate.measures import score, select
from imse.evaluate.pairs import LENGTH_TOLERANCE, find_pairs
from imse.evaluate.recordings import read
from imse.evaluate.results import NOISY, Evaluation, FileScores, System
from imse.workers import SpawnedPool

Location = str | os.PathLike[str]
Progress = Callable[[int, int], None]
_Task = tuple[str, Path, Path, tuple[str, ...], bool]


def evaluate(
    clean: Location,
    enhanced: Location | Sequence[Location],
    noisy: Location | None = None,
    *,
    index: Location | None = None,
    measures: Sequence[str] | None = None,
    align: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Evaluation:
    """Score enhanced recordings against the clean ones of the same name.

    Args:
        clean: Folder of the clean recordings.
        enhanced: Folder of the enhanced recordings, or several to compare.
        noisy: Folder of the noisy recordings, scored like an enhanced folder.
        index: Tab-separated table with the columns `id` and `snr_db`, for means by input SNR.
        measures: Names out of `imse.evaluate.MEASURES`; all by default.
        align: Whether to remove the delay of each file to its clean one before scoring, in whole samples at 16 kHz, up
            to one second. Lengths may then differ by one second; what both have is scored.
        jobs: Processes; with more than one, a script must keep its own work under ``if __name__ == "__main__"``.
        progress: Called after each file with the number of files scored so far and of all files.

    Returns:
        Scores of all files. A score that does not exist has its reason in its place, and is in no mean.

    Raises:
        EvaluationError: Files that do not pair up, before anything is scored; a process that died.
        ModuleNotFoundError: ``imse[eval]`` is not installed.
    """
    folders = [Path(folder) for folder in ([enhanced] if isinstance(enhanced, str | os.PathLike) else enhanced)]
    names = select(measures)
    labels = _labels(folders)
    _require_libraries()
    tolerance = LONGEST_DELAY if align else LENGTH_TOLERANCE
    pairs = find_pairs(Path(clean), folders, Path(noisy) if noisy else None, Path(index) if index else None, tolerance)
    tasks = [(pair.id, pair.clean, other, names, align) for pair in pairs for other in pair.others]
    scores = _score_all(tasks, jobs, progress or (lambda _done, _total: None))
    if noisy:
        folders, labels = [Path(noisy), *folders], [NOISY, *labels]
    systems = [
        System(label, folder, tuple(scores[position :: len(folders)]))
        for position, (label, folder) in enumerate(zip(labels, folders, strict=True))
    ]
    return Evaluation(names, pairs, tuple(systems[1:] if noisy else systems), systems[0] if noisy else None, align)


def _require_libraries() -> None:
    """Find out now and not in a worker, after files have been scored, that `imse[eval]` is not installed."""
    for module in ("pesq", "pystoi", "speechmos"):
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named '{module}'", name=module)


def _labels(folders: Sequence[Path]) -> list[str]:
    """The folders' names, with as many of their parents as it takes to tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts) or not parts:
        raise EvaluationError("name each enhanced folder once, and at least one")
    depth = 1
    while len(labels := {"/".join(part[-depth:]): None for part in parts}) < len(parts) or NOISY in labels:
        depth += 1
    return list(labels)


def _score_all(tasks: Sequence[_Task], jobs: int, progress: Progress) -> list[FileScores]:
    if jobs < 1:
        raise EvaluationError(f"jobs must be at least 1, not {jobs}")
    if jobs > 1:
        return _score_in_processes(tasks, jobs, progress)
    scores = []
    for task in tasks:
        scores.append(_score_file(*task))
        progress(len(scores), len(tasks))
    return scores


def _score_in_processes(tasks: Sequence[_Task], jobs: int, progress: Progress) -> list[FileScores]:
    with SpawnedPool(min(jobs, len(tasks))) as pool:
        futures = [pool.submit(_score_file, *task) for task in tasks]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                progress(done, len(tasks))
        except BrokenProcessPool as error:
            unscored = [str(task[2]) for task, future in zip(tasks, futures, strict=True) if future.exception()]
            raise EvaluationError(f"a process died, at one of these: {', '.join(unscored[: jobs + 1])}") from error
        return [future.result() for future in futures]


def _score_file(name: str, clean_path: Path, other_path: Path, measures: tuple[str, ...], align: bool) -> FileScores:
    try:
        clean, other = read(clean_path), read(other_path)
    except ImseError as error:
        return FileScores(name, {}, dict.fromkeys(measures, str(error)), None)
    if abs(len(clean) - len(other)) > (LONGEST_DELAY if align else LENGTH_TOLERANCE):
        reason = f"damaged: decodes to {len(other)} samples, the clean file to {len(clean)}"
        return FileScores(name, {}, dict.fromkeys(measures, reason), None)
    found = delay(clean, other)
    removed = found or 0 if align else 0
    whole = len(clean)
    clean, other = remove_delay(clean, other, removed)
    scores = score(clean, other, measures)
    return FileScores(name, scores.values, scores.missing, found, removed, whole - len(clean))
