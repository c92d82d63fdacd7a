"""A process that does one task of `imse.bench.tasks` whenever it is told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

from imse.errors import ImseError
from imse.processors import THREAD_VARIABLES


class Took(NamedTuple):
    """Seconds that a turn took: processor time of all threads together, and those that passed."""

    cpu: float
    wall: float


class Worker:
    """A process, from its first answer to the end of the block that it is opened with.

    Args:
        task: One of `imse.bench.tasks.TASKS`.
        threads: Processor threads that its libraries may use.
        arguments: What the task is given.

    Attributes:
        found: Its first answer.

    Raises:
        ImseError: It could not be opened; the message says why.
    """

    def __init__(self, task: str, threads: int, arguments: Mapping[str, Any]) -> None:
        # On the processor: an accelerator's time is not processor time.
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "CUDA_VISIBLE_DEVICES": ""}
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "imse.bench.tasks", json.dumps({"task": task, **arguments})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        try:
            self.found = self._answer()
            if "error" in self.found:
                raise ImseError(self.found["error"])
        except BaseException:
            self.close()
            raise

    def turn(self) -> Took:
        """Do the task once."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Took(**self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ImseError(f"a process that was measured ended by itself, with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer
