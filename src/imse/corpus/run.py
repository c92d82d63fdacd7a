"""A run on a Ray cluster: on this machine, if none is named."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of ours calls home; read when ray is imported

import pyarrow as pa
import ray
import ray.data

from imse.corpus.cleaner import NoRoomError, Report, Scores, cleaner
from imse.corpus.plan import Plan, check_settings
from imse.corpus.storage import Found, names_below
from imse.corpus.summary import write_errors, write_scores
from imse.corpus.work import PARQUET, REPORTS, TAR, UNIT, Attempts, Job, run_batch, stored_report
from imse.errors import ImseError
from imse.processors import processors

_MOST_UNITS = 256  # in a batch
_BATCHES_PER_WORKER = 32
_OBJECT_STORE = 200 * 2**20  # bytes on one machine: names and reports, no audio


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Attributes:
        address: Of a Ray cluster; None for this machine.
        workers: At the same time; None for as many as there is room for.
        cpus: Processors of each worker.
        gpus: GPUs of each worker, or a share of one.
    """

    address: str | None = None
    workers: int | None = None
    cpus: int = 1
    gpus: float = 0


@dataclass
class Outcome:
    """What became of the units.

    Attributes:
        complete: Units that were complete before.
        done: Units done in this run.
        failed: Units without an output.
        seconds: Seconds of audio enhanced in this run.
        errors: Path and reason of each recording that could not be read, or not to its end; of earlier runs, too.
    """

    complete: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    errors: list[tuple[str, str]] = field(default_factory=list)


def run(
    job: Job,
    planned: Plan,
    resources: Resources,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Do what is not done yet.

    Args:
        job: What is done.
        planned: The units.
        resources: What may be used.
        limit: The most units that are looked at, the first by name.
        progress: Called with the units that are complete, and all.

    Raises:
        ImseError: The output was made with other settings, there is no room, or no cluster at the address.
        OSError: The storage cannot be reached.
    """
    check_settings(job)
    there = names_below(job.output)
    units = planned.units if limit is None else sorted(planned.units, key=lambda unit: unit.inside)[:limit]
    pending = [unit for unit in units if unit.inside not in there]
    outcome = Outcome(complete=len(units) - len(pending))
    for unit in units:
        if unit.inside in there and f"{REPORTS}/{unit.inside}.json" in there:
            outcome.errors += stored_report(job.output, unit.inside).errors
    if pending:
        cleaner(job.settings)  # what is wrong with the weights is found out before the work
        with _cluster(resources):
            for report, done in _results(_batches(pending, _workers(resources)), job, resources):
                outcome.done += done
                outcome.failed += not done
                outcome.seconds += report.seconds
                outcome.errors += report.errors
                if progress:
                    progress(outcome.complete + outcome.done + outcome.failed, len(units))
    _write_tables(job, planned, units, outcome)
    return outcome


def _results(batches: Sequence[Sequence[Found]], job: Job, resources: Resources) -> Iterator[tuple[Report, bool]]:
    """Reports of units, and whether they are done, as they come.

    The outputs are written where they are computed, and not by the writers of Ray Data: those write what came of a
    task to files of their own naming, which a run that is ended leaves half done, and the next run makes again.
    """
    ray.data.DataContext.get_current().enable_progress_bars = False
    tables = [
        pa.Table.from_pylist([{"source": unit.address, "inside": unit.inside} for unit in batch], schema=UNIT)
        for batch in batches
    ]
    attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts).remote()
    # Tasks, and not actors: what ran on a lost node then runs on another one, while an actor waits for a new node. The
    # process of a task serves the next ones, too, and keeps its network (`cleaner`). Ray repeats a task whose process
    # or node is lost as often as it takes.
    results = ray.data.from_arrow(tables).map_batches(
        partial(run_batch, job=job, attempts=attempts),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.TaskPoolStrategy(resources.workers),
        num_cpus=resources.cpus,
        num_gpus=resources.gpus or None,
    )
    try:
        for table in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in table.to_pylist():
                report = Report.from_json(row["report"])
                if row["full"]:
                    raise NoRoomError(f"{report.errors[-1][1]}; the same command goes on when there is room")
                yield report, row["done"]
    except ray.exceptions.RayError as error:
        raise ImseError(f"a worker failed: {str(error).strip().splitlines()[-1]}") from error


def _batches(units: Sequence[Found], workers: int) -> list[list[Found]]:
    """Units in batches of about the same size in bytes, small enough that all workers end at about the same time."""
    most_bytes = sum(unit.size for unit in units) / (workers * _BATCHES_PER_WORKER)
    most_units = max(1, min(_MOST_UNITS, len(units) // (workers * _BATCHES_PER_WORKER)))
    batches: list[list[Found]] = []
    size = 0
    for unit in units:
        if not batches or len(batches[-1]) == most_units or size + unit.size > most_bytes:
            batches.append([])
            size = 0
        batches[-1].append(unit)
        size += unit.size
    return batches


def _workers(resources: Resources) -> int:
    return resources.workers or max(1, int(ray.cluster_resources().get("CPU", 1) // resources.cpus))


@contextmanager
def _cluster(resources: Resources) -> Iterator[None]:
    """Ray for as long as the block lasts, unless it runs already."""
    if ray.is_initialized():
        yield
        return
    # A job that `ray job submit` started finds its cluster in this variable.
    address = resources.address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options |= {"include_dashboard": False, "num_cpus": processors(), "object_store_memory": _OBJECT_STORE}
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        ray.init(address=address, **options)
    except (ConnectionError, ValueError) as error:
        raise ImseError(f"{address}: no Ray cluster there ({' '.join(str(error).split())})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _write_tables(job: Job, planned: Plan, units: Sequence[Found], outcome: Outcome) -> None:
    write_errors(job.output, job.form, outcome.errors)
    scores: dict[str, Scores] = {}
    there = names_below(job.output)
    if job.settings.score and job.form not in {PARQUET, TAR}:
        for unit in units:
            if unit.inside in there:
                scores.update((unit.inside, found) for _, found in stored_report(job.output, unit.inside).scores)
        write_scores(job.output, scores)
    if planned.manifest:
        planned.manifest.write(job.output, there, scores)
