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
from imse.audio.callbacks import heeded_interrupts
from imse.audio.formats import AV_EXTENSIONS, is_written
from imse.cli.output import refuse_existing
from imse.cli.progress import Bars
from imse.enhancer import Enhancer, FileResult
from imse.errors import ImseError, describe, printable


@dataclass(frozen=True)
class Task:
    """One file to enhance.

    Attributes:
        source: The input.
        target: The output.
        residual: Where to write what was taken away.
    """

    source: Path
    target: Path
    residual: Path | None = None

    @property
    def written(self) -> tuple[Path, ...]:
        """The files that come of it."""
        return (self.target,) if self.residual is None else (self.target, self.residual)


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
    inputs: Sequence[Path],
    output: Path | None,
    on_error: Callable[[OSError], None],
    into_folder: bool = False,
    residual: Path | None = None,
) -> list[Task]:
    """What is to be read, and where each result goes.

    Args:
        inputs: Files, and folders to search.
        output: A file, a folder, or None for places beside the inputs.
        on_error: Called with the error of a folder that cannot be read, which is then passed over.
        into_folder: Whether the output is a folder, whatever its name.
        residual: A file or a folder for what is taken away, or None.

    Raises:
        ImseError: A folder without audio, two inputs with one output, or an output that does not fit the inputs.
    """
    if residual == STDIO:
        raise ImseError("what was taken away cannot go to standard output; give --residual a file or a folder")
    several = len(inputs) > 1 or inputs[0].is_dir()
    if output is not None and output != STDIO and not into_folder:
        if several and is_audio(output) and not output.is_dir():
            what = "several inputs go" if len(inputs) > 1 else "the output of a folder goes"
            raise ImseError(f"{output}: the name of a file, but {what} to a folder: -o {output.stem}/")
        into_folder = _is_folder(output)
    into_folder = into_folder or several
    tasks = [task for path in inputs for task in _tasks_of(path, output, residual, into_folder, on_error)]
    sources = {task.source.resolve() for task in tasks}
    by_target: dict[Path, Task] = {}
    for task in tasks:
        for path in task.written:
            other = by_target.setdefault(path, task)
            if other.source != task.source:
                raise ImseError(f"{path}: both {other.source} and {task.source} would be written there")
        if task.residual is not None and task.residual.resolve() in sources:
            raise ImseError(f"{task.residual}: an input; what was taken away needs another place")
    return list({task.target: task for task in by_target.values()}.values())


def without_existing(tasks: list[Task]) -> list[Task]:
    """The tasks of whose output nothing is there yet."""
    return [task for task in tasks if not any(path != STDIO and path.exists() for path in task.written)]


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
                    done = result()
                except (ImseError, OSError, ModuleNotFoundError) as error:
                    outcome.failed += 1
                    messages = [describe(error) if len(tasks) == 1 else _with_name(describe(error), task)]
                else:
                    outcome.done += 1
                    outcome.damaged += done.damage is not None
                    outcome.seconds += done.seconds
                    messages = [*filter(None, [done.damage]), *done.notes]
                for message in messages:
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
    path: Path, output: Path | None, residual: Path | None, into_folder: bool, on_error: Callable[[OSError], None]
) -> Iterator[Task]:
    if path == STDIO and output is None:
        raise ImseError("what comes from standard input needs an output: -o FILE, or -o - for standard output")
    if path == STDIO or not path.is_dir():
        place = _beside(path) if output is None else _place(path, output, into_folder)
        yield Task(path, place, residual and _place(path, residual, into_folder or _is_folder(residual)))
        return
    if output == STDIO:
        raise ImseError(f"{path}: a folder cannot go to standard output; give a folder with -o")
    named = path if path.name.strip(".") else path.resolve()
    root = output or named.with_name(named.name + ENHANCED_SUFFIX)
    roots = (root,) if residual is None else (root, residual)
    for file in _recordings(path, roots, on_error):
        inside = file.relative_to(path)
        yield Task(file, root / inside, residual and residual / inside)


def _recordings(path: Path, roots: tuple[Path, ...], on_error: Callable[[OSError], None]) -> list[Path]:
    """The files to enhance in a folder whose results go to other folders.

    Results of an earlier run are none: those beside their originals, and all in `roots` that lie inside.
    """
    inside = []
    for root in roots:
        if root.is_file():
            raise ImseError(f"{root}: a file, but the output of a folder is a folder")
        if path.resolve() in root.resolve().parents:
            inside.append(root.resolve())
    found = [
        file
        for file in find_audio(path, on_error)
        if not _is_result(file) and not any(Path(os.path.realpath(file)).is_relative_to(root) for root in inside)
    ]
    if not found:
        raise ImseError(f"{path}: no audio files in this folder")
    return found


def _place(path: Path, output: Path, into_folder: bool) -> Path:
    """Where the result of a file goes."""
    return output / path.name if into_folder and STDIO not in (path, output) else output


def _is_folder(output: Path) -> bool:
    """Whether an output is a folder: an audio file has an extension, which tells its format."""
    return output.is_dir() or not output.suffix


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
        for path in task.written:
            refuse_existing(path, overwrite or path == STDIO)
        extension = task.source.suffix.lower()
        if extension == task.target.suffix.lower() and extension in AV_EXTENSIONS and not is_written(task.target):
            raise ImseError(f"{task.source}: cannot write {extension} files; enhance it alone, with -o NAME.wav")
        progress = partial(bars.update, task.source)
        return enhancer.enhance_file(task.source, task.target, progress, cancelled, task.residual)
    except MemoryError:
        raise ImseError(f"{task.source}: not enough memory") from None
    finally:
        bars.finish(task.source)


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """The first of SIGINT, SIGTERM and SIGHUP ends the block as Ctrl-C does; what follows disturbs no cleanup."""
    was_interrupted = False

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal was_interrupted
        if not was_interrupted:
            was_interrupted = True
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in heeded_interrupts()}
    try:
        for number in before:
            signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
