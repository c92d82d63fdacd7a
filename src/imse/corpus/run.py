"""A run on a Ray cluster: on this machine, if none is named."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of ours calls home; read when ray is imported

import pyarrow as pa
import ray
import ray.data

from imse.corpus.cleaner import NoRoomError, Report, Scores, cleaner
from imse.corpus.plan import Plan, checked_settings, write_settings
from imse.corpus.storage import Found, exists, is_local, joined, names_below, remove
from imse.corpus.summary import write_errors, write_scores
from imse.corpus.work import PARQUET, TAR, UNIT, Attempts, Job, report_path, run_batch, stored_report
from imse.errors import ImseError, counted, describe, printable
from imse.processors import processors

_MOST_UNITS = 256  # in a batch
_BATCHES_PER_WORKER = 32
_BATCHES_OF_A_CLUSTER = 8192  # at least: one that grows with the work has few processors at first
_READERS = 16  # threads that read reports, small files
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
    there = names_below(job.output)
    settings = checked_settings(job, planned, there)
    units = planned.units if limit is None else sorted(planned.units, key=lambda unit: unit.inside)[:limit]
    pending = [unit for unit in units if unit.inside not in there]
    outcome = Outcome(complete=len(units) - len(pending), errors=list(planned.errors))
    for unit in pending:  # what was said of an output that somebody has removed
        if (path := report_path(unit.inside)) in there:
            remove(joined(job.output, path))
    scores: dict[str, Scores] = {}
    for inside, report in _earlier_reports(job, planned.units, there):
        outcome.errors += report.errors
        scores.update((inside, found) for _, found in report.scores)
    if pending:
        failed = set()
        cleaner(job.settings)  # what is wrong with the weights is found out before the work
        with _cluster(resources):
            write_settings(job.output, settings)
            for inside, report, done in _results(_batches(pending, _wanted_batches(resources)), job, resources):
                if done:
                    outcome.done += 1
                else:
                    failed.add(inside)
                outcome.seconds += report.seconds
                outcome.errors += report.errors
                scores.update((inside, found) for _, found in report.scores)
                if progress:
                    progress(outcome.complete + outcome.done + len(failed), len(units))
        outcome.failed = len(failed)
        made = {unit.inside for unit in pending} - failed
        outcome.errors += _not_to_be_seen(job.output, made)
        there |= made
    write_errors(job.output, job.form, outcome.errors)
    if job.settings.score and job.form not in {PARQUET, TAR}:
        write_scores(job.output, scores)
    if planned.manifest:
        planned.manifest.write(job.output, there, scores)
    return outcome


def _earlier_reports(job: Job, units: Sequence[Found], there: Collection[str]) -> Iterator[tuple[str, Report]]:
    """Reports of the units that were complete before."""
    reported = [unit.inside for unit in units if unit.inside in there and report_path(unit.inside) in there]
    with ThreadPoolExecutor(_READERS) as pool:
        yield from zip(reported, pool.map(partial(stored_report, job.output), reported), strict=True)


def _not_to_be_seen(output: str, made: set[str]) -> list[tuple[str, str]]:
    """Errors of outputs that were written, but not here: each machine has a folder of its own at this path."""
    if not is_local(output):
        return []
    lost = [joined(output, inside) for inside in sorted(made - names_below(output))]
    reason = "written on another machine; OUT must be a folder that all share"
    return [(path, reason) for path in lost if not exists(path)]  # the listing of a network disk may be old


def _results(batches: Sequence[Sequence[Found]], job: Job, resources: Resources) -> Iterator[tuple[str, Report, bool]]:
    """Paths of units, their reports, and whether they are done, as they come.

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
                yield row["inside"], report, row["done"]
    except ray.exceptions.RayError as error:
        raise ImseError(f"a worker failed: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """What went wrong in a worker: in the text of Ray's error, it comes first, before all that it is wrapped in."""
    found = re.search(r"^\w[\w.]*(?:Error|Exception): .+$", str(error), re.MULTILINE)
    return printable(found[0]) if found else describe(error)


def _batches(units: Sequence[Found], wanted: int) -> list[list[Found]]:
    """Units in batches of about the same size in bytes, small enough that all workers end at about the same time."""
    most_bytes = sum(unit.size for unit in units) / wanted
    most_units = max(1, min(_MOST_UNITS, len(units) // wanted))
    batches: list[list[Found]] = []
    size = 0
    for unit in units:
        if not batches or len(batches[-1]) == most_units or size + unit.size > most_bytes:
            batches.append([])
            size = 0
        batches[-1].append(unit)
        size += unit.size
    return batches


def _wanted_batches(resources: Resources) -> int:
    workers = resources.workers or int(ray.cluster_resources().get("CPU", 0) // resources.cpus)
    grows = _address(resources) != "local" and not resources.workers
    return max(workers * _BATCHES_PER_WORKER, _BATCHES_OF_A_CLUSTER if grows else 1)


def _address(resources: Resources) -> str:
    # A job that `ray job submit` started finds its cluster in this variable.
    return resources.address or os.environ.get("RAY_ADDRESS") or "local"


def _knock(address: str) -> None:
    """Find out whether anything listens there: Ray would try for many minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise ImseError(f"{address}: no Ray cluster there ({error})") from error


@contextmanager
def _cluster(resources: Resources) -> Iterator[None]:
    """Ray for as long as the block lasts, unless it runs already."""
    if ray.is_initialized():
        yield
        return
    address = _address(resources)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        if resources.cpus > processors():
            raise ImseError(f"--cpus {resources.cpus}: this machine has {counted(processors(), 'processor')}")
        options |= {"include_dashboard": False, "num_cpus": processors(), "object_store_memory": _OBJECT_STORE}
    elif address != "auto" and "://" not in address:
        _knock(address)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        ray.init(address=address, **options)
    except Exception as error:  # which is what Ray raises, as of processes that do not start in time
        what = "Ray did not start here" if address == "local" else f"{address}: no Ray cluster there"
        raise ImseError(f"{what} ({' '.join(str(error).split())})") from error
    try:
        if address == "local" and resources.gpus > (found := ray.cluster_resources().get("GPU", 0)):
            raise ImseError(f"--gpus {resources.gpus:g}: this machine has {found:g}")  # Ray would wait for ever
        yield
    finally:
        ray.shutdown()
