"""Pools of worker processes: what a worker inherits, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from multiprocessing import active_children
from pathlib import Path

import pytest

from imse.workers import SpawnedPool


def variable(name: str) -> str | None:
    return os.environ.get(name)


def test_workers_have_their_own_number_of_threads_and_no_gpu() -> None:
    before = dict(os.environ)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
    with SpawnedPool(1, threads=3) as pool:
        assert list(pool.map(variable, names)) == ["3", "3", ""]
    assert dict(os.environ) == before


def wait() -> None:
    threading.Event().wait(600)


def interrupted(tasks: list[Future[None]]) -> None:
    with SpawnedPool(2) as pool:
        tasks += [pool.submit(wait) for _ in range(5)]
        raise KeyboardInterrupt


def test_an_exception_ends_the_processes_without_their_tasks() -> None:
    before, tasks = set(active_children()), list[Future[None]]()
    with pytest.raises(KeyboardInterrupt):
        interrupted(tasks)
    assert set(active_children()) <= before
    assert [task.done() for task in tasks] == [True] * 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal masks")
def test_workers_do_not_see_an_interrupt(tmp_path: Path) -> None:
    """Neither while they start, when they run the main module under another name, nor later."""
    script = tmp_path / "script.py"
    script.write_text("""if True:
    import os, signal
    from imse.workers import SpawnedPool

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        return "goes on"

    if __name__ == "__mp_main__":
        interrupt()

    if __name__ == "__main__":
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with SpawnedPool(1) as pool:
            print(pool.submit(interrupt).result())
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert (done.stdout, done.stderr) == ("goes on\n", "")
