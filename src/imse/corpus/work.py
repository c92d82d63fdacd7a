"""What a worker does with a batch of units."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any

import pyarrow as pa
import ray

from imse.corpus import parquet, tar
from imse.corpus.cleaner import Cleaner, NoRoomError, Report, Settings, attempt, cleaner
from imse.corpus.storage import exists, fetched, joined, published, read_bytes, write_bytes
from imse.errors import ImseError, describe

REPORTS = ".imse/reports"
"""Below the output's folder: what is to be said of units that are complete. Most have nothing."""

FILES, MANIFEST, PARQUET, TAR = "files", "manifest", "parquet", "webdataset"

UNIT = pa.schema([("source", pa.string()), ("inside", pa.string())])
"""Of a unit: the address of its input, and the path of its output below the output's folder."""
RESULT = pa.schema([("inside", pa.string()), ("report", pa.string()), ("done", pa.bool_()), ("full", pa.bool_())])
"""Of a unit: its path, its report, whether its output is there, and whether there was no room for it."""

# Of these, one is fetched from its storage and one is published while one is computed.
_UNITS_AT_ONCE = 3


@dataclass(frozen=True)
class Job:
    """What is done with all units.

    Attributes:
        form: FILES, MANIFEST, PARQUET or TAR.
        output: Address of the output's folder.
        settings: What is done with each recording.
    """

    form: str
    output: str
    settings: Settings


class Attempts:
    """How often units were begun; an actor of Ray, which outlives the workers.

    What brings down the process of every worker that tries it, as a file can that takes more memory than there is, is
    given up: Ray would go on for ever.
    """

    MOST = 4

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, inside: str) -> bool:
        """Count an attempt; whether there may be another one."""
        self._begun[inside] += 1
        return self._begun[inside] <= self.MOST

    def end(self, inside: str) -> None:
        """Forget a unit, whatever became of it: its worker is alive."""
        self._begun.pop(inside, None)


def report_path(inside: str) -> str:
    """Where the report of a unit is below the output's folder, if there is one."""
    return f"{REPORTS}/{inside}.json"


def run_batch(units: pa.Table, job: Job, attempts: Any) -> pa.Table:
    """Compute units, one at a time, on as many threads as the network has.

    Args:
        units: A table as in `UNIT`.
        job: What is done.
        attempts: The actor `Attempts`.

    Returns:
        A table as in `RESULT`.
    """
    pa.set_cpu_count(1)
    worker = _Worker(job, attempts)
    with ThreadPoolExecutor(_UNITS_AT_ONCE) as pool:
        return pa.Table.from_pylist(list(pool.map(worker.run, units.to_pylist())), schema=RESULT)


class _Worker:
    def __init__(self, job: Job, attempts: Any) -> None:
        self._job = job
        self._attempts = attempts
        self._cleaner = cleaner(job.settings)
        self._computing = Lock()
        self._full = Event()

    def run(self, unit: dict[str, str]) -> dict[str, Any]:
        """Compute a unit, unless it is complete: Ray repeats a batch of which it lost the result."""
        inside, target = unit["inside"], joined(self._job.output, unit["inside"])
        done, full, report = False, False, Report()

        def work() -> None:
            nonlocal report
            if exists(target):
                report = stored_report(self._job.output, inside)
                return
            report = self._computed(unit["source"], target, inside)

        try:
            done = not self._full.is_set() and attempt(work, unit["source"], report)
        except NoRoomError as error:
            report.errors.append((target, str(error)))
            full = True
            self._full.set()
        except Exception as error:  # the packages behind fsspec raise what they like
            report.errors.append((unit["source"], f"{type(error).__name__}: {describe(error)}"))
        return {"inside": inside, "report": report.to_json(), "done": done, "full": full}

    def _computed(self, source: str, target: str, inside: str) -> Report:
        with fetched(source) as path, published(target) as partial:
            with self._computing:  # the others of a batch are not to blame if the process dies
                if not ray.get(self._attempts.begin.remote(inside)):
                    raise ImseError("the worker process died each time that it was tried")
                try:
                    report = _CLEAN[self._job.form](path, partial, source, self._cleaner)
                finally:
                    self._attempts.end.remote(inside)
            if report.errors or report.scores:  # before the output, whose presence says that all is complete
                write_bytes(joined(self._job.output, report_path(inside)), report.to_json().encode())
        return report


def stored_report(output: str, inside: str) -> Report:
    """The report of a unit that is complete."""
    try:
        return Report.from_json(read_bytes(joined(output, report_path(inside))))
    except FileNotFoundError:
        return Report()


def _clean_file(source: Path, target: Path, name: str, cleaner: Cleaner) -> Report:
    report = Report()
    scores = cleaner.clean_file(source, target, name, report)
    if scores:
        report.scores.append((name, scores))
    return report


_CLEAN = {FILES: _clean_file, MANIFEST: _clean_file, PARQUET: parquet.clean_shard, TAR: tar.clean_shard}
