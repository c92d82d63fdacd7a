"""The parts of `imse bench`: worker processes, their errors, and the test signal."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

from imse import native
from imse.bench.process import run_enhance
from imse.bench.run import noisy_speech
from imse.bench.worker import Task, Worker, count, open_enhancer, peak
from imse.errors import ImseError


def test_the_signal_is_always_the_same() -> None:
    signal = noisy_speech(0.5)
    assert signal.shape == (8_000,)
    assert signal.dtype == np.float32
    np.testing.assert_array_equal(signal, noisy_speech(0.5))
    assert 0.05 < np.abs(signal).max() < 1


@pytest.mark.skipif(not native.available(), reason="needs a C++ compiler when imse is installed")
def test_a_worker_takes_turns() -> None:
    with Worker(1, peak) as worker:
        took = [worker.turn(), worker.turn()]
        assert worker.found > 1e9
    assert all(turn.cpu > 0 and turn.wall > 0 for turn in took)


def test_a_worker_enhances(small_onnx: Path) -> None:
    from imse.enhancer import Enhancer

    signal = noisy_speech(0.5)
    with Worker(1, open_enhancer, "onnx", small_onnx, "overlap", 1, signal) as worker:
        open_seconds, first_seconds, output = worker.found
    assert open_seconds > 0
    assert first_seconds > 0
    np.testing.assert_allclose(output, Enhancer(small_onnx, "onnx").enhance(signal, 16_000), atol=1e-5)


def threads() -> Task:
    return os.environ["OMP_NUM_THREADS"], os.getpid


def test_a_worker_has_its_own_threads() -> None:
    with Worker(3, threads) as worker:
        assert worker.found == "3"


def test_a_worker_that_opens_nothing_says_why_and_ends(tmp_path: Path) -> None:
    before = set(active_children())
    with pytest.raises((ImseError, OSError), match=r"nothing\.safetensors"):
        Worker(1, count, tmp_path / "nothing.safetensors")
    assert set(active_children()) <= before


def ends_itself() -> Task:
    return None, lambda: os._exit(3)


def test_a_worker_that_dies() -> None:
    with Worker(1, ends_itself) as worker, pytest.raises(BrokenExecutor):
        worker.turn()


def test_a_process_that_fails(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a sound")
    with pytest.raises(ImseError, match=r"text\.wav: "):
        run_enhance(tmp_path / "text.wav", tmp_path / "out.wav")
