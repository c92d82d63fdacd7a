"""Damaged and hostile files: sound files of every format, weights, recipes, tables of recordings.

    python benchmarks/fuzz.py [KIND ...] [--count 10000] [--seconds S] [--seed N] [--keep FOLDER]

Each KIND (sound, weights, recipes, manifests) is attacked with COUNT files, or as many as there is time for. What must
not happen: a crash, an exception that is no error of imse, a warning, lines that libraries print, an error of more than
one line, an output that is not finite, an output or a temporary file in spite of an error, more than 30 s for a file,
or more than 3 GiB of address space beside that of the start. Each is reported in a line, the file is kept in FOLDER,
and the exit code is 1. The seed makes a run repeatable.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import secrets
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import attacks

_LONGEST = 30.0  # seconds for one file
_START = 120.0  # seconds until the first one: torch is imported
_MEMORY = 3 * 2**30
_LARGEST_FILE = 2**28


@dataclass
class Report:
    """What came of attacks of one kind: files tried, and how many times each thing happened that must not."""

    tried: int = 0
    findings: Counter[str] = field(default_factory=Counter)


def attack(name: str, seed: int, count: int, seconds: float, keep: Path | None = None) -> Report:
    """Attack one kind of files, in a process of its own, which is started again when it crashes or hangs.

    Args:
        name: One of `attacks.KINDS`.
        seed: For which damage is drawn.
        count: Files to try at most.
        seconds: Time to begin new ones.
        keep: A folder for the files that did what they must not do.
    """
    report, end = Report(), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        while report.tried < count and time.monotonic() < end:
            ours, theirs = multiprocessing.Pipe()
            # Not forked: torch and ONNX Runtime have threads.
            process = multiprocessing.get_context("spawn").Process(
                target=_work, args=(name, seed, report.tried, count, end, Path(folder), keep, theirs)
            )
            process.start()
            theirs.close()
            found = _watch(ours, report)
            if found == "no answer":
                process.kill()
            process.join()
            if not found:
                break
            found = found if found == "no answer" else f"crash, exit code {process.exitcode}"
            report.findings[found] += 1
            print(f"{name} {seed} {report.tried}: {found}", flush=True)
            if keep:
                _keep(keep, name, report.tried, *attacks.mutation(attacks.KINDS[name](), name, seed, report.tried))
            report.tried += 1
    return report


def _watch(answers: Connection, report: Report) -> str:
    """Count what a process answers, file by file, until it says that it is done; else why it does not."""
    limit = _START
    while answers.poll(limit):
        try:
            answer: _Answer = answers.recv()
        except EOFError:
            return "crash"
        if answer.is_last:
            return ""
        limit = _LONGEST
        report.tried += answer.tried
        report.findings.update(answer.findings)
    return "no answer"


@dataclass
class _Answer:
    """Of a process: that it is ready, what came of one file, or that there are no more."""

    tried: int = 0
    findings: tuple[str, ...] = ()
    is_last: bool = False


def _work(
    name: str, seed: int, first: int, count: int, end: float, folder: Path, keep: Path | None, answers: Connection
) -> None:
    kind = attacks.KINDS[name]()
    warnings.simplefilter("error")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, used + _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    console = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        answers.send(_Answer())
        for number in range(first, count):
            if time.monotonic() > end:
                break
            file, content = attacks.mutation(kind, name, seed, number)
            found = finding(kind, file, content, folder / name)
            printed.seek(0)
            if lines := printed.read().decode(errors="replace").strip():
                found = found or f"printed: {lines.splitlines()[0]}"
                printed.truncate(0)
            if found:
                os.write(console, f"{name} {seed} {number} {file}: {found}\n".encode())
                if keep:
                    _keep(keep, name, number, file, content)
            answers.send(_Answer(1, (found.partition(":")[0],) if found else ()))
    answers.send(_Answer(is_last=True))


def finding(kind: attacks.Kind, file: str, content: bytes, folder: Path) -> str:
    """What a file did that it must not do; nothing if it behaved."""
    try:
        attacks.run(kind, file, content, folder)
    except attacks.Misbehaviour as found:
        return f"Misbehaviour: {found}"
    except (Exception, RecursionError) as error:  # what no file may cause
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "imse" in frame.filename]
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "nowhere"
        return f"{type(error).__name__} at {place}: {str(error)[:300]!r}"
    return ""


def _keep(keep: Path, name: str, number: int, file: str, content: bytes) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    (keep / f"{name}-{number}-{file}").write_bytes(content)


def main() -> None:
    """Attack, and print a line for each finding and each kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"all by default: {', '.join(attacks.KINDS)}")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3_600.0, help="for each kind")
    parser.add_argument("--seed", type=int, help="drawn by default")
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"))
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    findings = 0
    for name in arguments.kinds or attacks.KINDS:
        report = attack(name, seed, arguments.count, arguments.seconds, arguments.keep)
        findings += report.findings.total()
        print(f"{name}, seed {seed}: {report.tried:,} files, {report.findings.total()} findings", flush=True)
        for found, times in report.findings.most_common():
            print(f"  {times} x {found}", flush=True)
    sys.exit(findings > 0)


if __name__ == "__main__":
    main()
