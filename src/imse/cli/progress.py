"""Progress bars on standard error, shown only on a terminal and after one second of work."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from imse.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SHOW_AFTER = 1.0  # seconds of work


class Bars:
    """One bar for all files, if there are several, and one for each file in work. A context manager.

    Safe to use from several threads. The drawing library is imported when the first bar appears: most runs end before.

    Args:
        files: Number of files.
    """

    def __init__(self, files: int) -> None:
        self._files = files
        self._finished = 0
        self._progress: Progress | None = None
        self._all_files: TaskID | None = None
        self._tasks: dict[Path, TaskID] = {}
        self._lock = threading.Lock()
        self._show_at = time.monotonic() + _SHOW_AFTER if _stderr_is_terminal() else float("inf")

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def update(self, file: Path, done: float, total: float) -> None:
        """Set the seconds done of a file, and its length in seconds: 0 if unknown."""
        with self._lock:
            if self._progress is None:
                if time.monotonic() < self._show_at:
                    return
                self._progress = _start()
                if self._files > 1:
                    self._all_files = self._progress.add_task(f"{self._files} files", total=self._files)
                    self._progress.update(self._all_files, completed=self._finished)
            if file not in self._tasks:
                self._tasks[file] = self._progress.add_task(printable(file.name), total=None)
            self._progress.update(self._tasks[file], completed=done, total=total or None)

    def finish(self, file: Path) -> None:
        """Remove the bar of a file that is done or has failed, and count the file."""
        with self._lock:
            self._finished += 1
            if self._progress:
                if file in self._tasks:
                    self._progress.remove_task(self._tasks.pop(file))
                if self._all_files is not None:
                    self._progress.update(self._all_files, completed=self._finished)

    def print(self, line: str) -> None:
        """Print a line on standard error, above the bars."""
        with self._lock:
            if self._progress:
                self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, file=sys.stderr, flush=True)  # noqa: T201


def _stderr_is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()  # None where it is closed


def _start() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    progress.start()
    return progress
