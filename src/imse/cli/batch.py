"""Enhancing many files at once: what is read and written, progress, failures, interruption."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from imse.audio import ENHANCED_SUFFIX, STDIO, find_audio, is_audio
from imse.audio.callbacks import INTERRUPTS
from imse.audio.formats import AV_EXTENSIONS, is_written
from imse.cli.output import refuse_existing
from imse.cli.progress import Bars
from imse.enhancer import Enhancer, FileResult
from imse.errors import ImseError, describe, printable


@dataclass(frozen=True)
class Task:
    """One file to enhance."""

    source: Path
    target: Path


@dataclass
class Outcome:
    """What became of the tasks.

    Attributes:
        place: The file written, or the folder that all results are in.
        done: Files enhanced.
        failed: Files that failed.
        damaged: Files enhanced as far as they could be read.
        seconds: Seconds of audio enhanced.
    """

    place: str
    done: int = 0
    failed: int = 0
    damaged: int = 0
    seconds: float = 0.0


def find_tasks(
    inputs: Sequence[Path], output: Path | None, on_error: Callable[[OSError], None], into_folder: bool = False
) -> list[Task]:
    """What is to be read, and where each result goes.

    Args:
        inputs: Files, and folders to search.
        output: A file, a folder, or None for places beside the inputs.
        on_error: Called with the error of a folder that cannot be read, which is then passed over.
        into_folder: Whether the output is a folder, whatever its name.

    Raises:
        ImseError: A folder without audio, two inputs with one output, or an output that does not fit the inputs.
    """
    if output is not None and output != STDIO and not into_folder:
        several = len(inputs) > 1 or inputs[0].is_dir()
        if several and is_audio(output) and not output.is_dir():
            what = "several inputs go" if len(inputs) > 1 else "the output of a folder goes"
            raise ImseError(f"{output}: the name of a file, but {what} to a folder: -o {output.stem}/")
        # A name without an extension cannot be an audio file, whose format is told by it.
        into_folder = several or output.is_dir() or not output.suffix
    tasks = [task for path in inputs for task in _tasks_of(path, output, into_folder, on_error)]
    by_target: dict[Path, Task] = {}
    for task in tasks:
        other = by_target.setdefault(task.target, task)
        if other.source != task.source:
            raise ImseError(f"{task.target}: both {other.source} and {task.source} would be written there")
    return list(by_target.values())


def without_existing(tasks: list[Task]) -> list[Task]:
    """The tasks whose output is not there yet."""
    return [task for task in tasks if task.target == STDIO or not task.target.exists()]


def run(enhancer: Enhancer, tasks: list[Task], jobs: int, overwrite: bool) -> Outcome:
    """Enhance files, several at a time. Each failure is one line, and does not stop the others.

    Raises:
        KeyboardInterrupt: Interrupted, or asked to end; no partial file remains.
    """
    outcome = Outcome(str(tasks[0].target if len(tasks) == 1 else _common(tasks)))
    cancelled = threading.Event()
    with _interrupted_once(), Bars(len(tasks)) as bars:

        def work(task: Task) -> FileResult:
            return _run_task(enhancer, task, overwrite, bars, cancelled)

        with closing(_results(work, tasks, jobs, cancelled)) as results:
            for task, result in results:
                try:
                    seconds, message = result()
                except (ImseError, OSError, ModuleNotFoundError) as error:
                    outcome.failed += 1
                    message = describe(error) if len(tasks) == 1 else _with_name(describe(error), task)
                else:
                    outcome.done += 1
                    outcome.damaged += message is not None
                    outcome.seconds += seconds
                if message:
                    bars.print(f"imse: {printable(message)}")
    return outcome


def _results(
    work: Callable[[Task], FileResult], tasks: list[Task], jobs: int, cancelled: threading.Event
) -> Generator[tuple[Task, Callable[[], FileResult]], None, None]:
    """Tasks as they finish, with functions that return what came of each, or raise what went wrong with it."""
    if len(tasks) == 1:
        # In this thread, which an interrupt reaches even while it waits for standard input.
        yield tasks[0], partial(work, tasks[0])
        return
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(jobs) as pool:
        try:
            by_future = {pool.submit(work, task): task for task in tasks}
            for future in as_completed(by_future):
                yield by_future[future], future.result
        except BaseException:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise


def _with_name(message: str, task: Task) -> str:
    """A message that says which of several files it is about."""
    names = {printable(str(path)) for path in (task.source, task.target)}
    return message if any(name in message for name in names) else f"{task.source}: {message}"


def _tasks_of(
    path: Path, output: Path | None, into_folder: bool, on_error: Callable[[OSError], None]
) -> Iterator[Task]:
    if path == STDIO:
        if output is None:
            raise ImseError("what comes from standard input needs an output: -o FILE, or -o - for standard output")
        yield Task(path, output)
    elif path.is_dir():
        if output == STDIO:
            raise ImseError(f"{path}: a folder cannot go to standard output; give a folder with -o")
        named = path if path.name.strip(".") else path.resolve()
        root = output or named.with_name(named.name + ENHANCED_SUFFIX)
        if root.is_file():
            raise ImseError(f"{root}: a file, but the output of a folder is a folder")
        # Results of an earlier run are no inputs: those beside their originals, and all of OUT if it lies inside.
        inside = path.resolve() in root.resolve().parents
        found = [
            file
            for file in find_audio(path, on_error)
            if not _is_result(file) and not (inside and Path(os.path.realpath(file)).is_relative_to(root.resolve()))
        ]
        if not found:
            raise ImseError(f"{path}: no audio files in this folder")
        for file in found:
            yield Task(file, root / file.relative_to(path))
    elif output is None:
        yield Task(path, _beside(path))
    elif into_folder:
        yield Task(path, output / path.name)
    else:
        yield Task(path, output)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}{ENHANCED_SUFFIX}{path.suffix}")


def _is_result(path: Path) -> bool:
    """Whether a file is what an earlier run made of the file beside it."""
    original = path.with_name(path.stem.removesuffix(ENHANCED_SUFFIX) + path.suffix)
    return path.stem.endswith(ENHANCED_SUFFIX) and original.exists()


def _common(tasks: list[Task]) -> str | Path:
    folders = {task.target.parent for task in tasks}
    return folders.pop() if len(folders) == 1 else os.path.commonpath([folder.absolute() for folder in folders])


def _run_task(enhancer: Enhancer, task: Task, overwrite: bool, bars: Bars, cancelled: threading.Event) -> FileResult:
    try:
        refuse_existing(task.target, overwrite or task.target == STDIO)
        extension = task.source.suffix.lower()
        if extension == task.target.suffix.lower() and extension in AV_EXTENSIONS and not is_written(task.target):
            raise ImseError(f"{task.source}: cannot write {extension} files; enhance it alone, with -o NAME.wav")
        return enhancer.enhance_file(task.source, task.target, partial(bars.update, task.source), cancelled)
    except MemoryError:
        raise ImseError(f"{task.source}: not enough memory") from None
    finally:
        bars.finish(task.source)


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """The first of SIGINT, SIGTERM and SIGHUP ends the block as Ctrl-C does; what follows must not disturb the cleanup.

    Signals that are ignored, as by `nohup` or in a background job of a script, stay so.
    """
    was_interrupted = False

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal was_interrupted
        if not was_interrupted:
            was_interrupted = True
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in INTERRUPTS}
    try:
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
