"""What `imse bench` is made of: processes that answer or say why not, and what is found put side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imse.bench.machine import describe_machine
from imse.bench.process import enhance_file
from imse.bench.record import Machine, Record, Spread
from imse.bench.signal import noisy_speech
from imse.bench.table import notes
from imse.bench.worker import Worker
from imse.errors import ImseError
from imse.processors import processors


def test_the_signal_is_always_the_same() -> None:
    signal = noisy_speech(0.5)
    assert signal.shape == (8_000,)
    assert signal.dtype == np.float32
    np.testing.assert_array_equal(signal, noisy_speech(0.5))
    assert 0.05 < np.abs(signal).max() < 1


def test_spread() -> None:
    assert Spread.of([3, 1, 2, 10]) == Spread(2.5, 1, 10)


def test_a_worker_takes_turns() -> None:
    with Worker("product", 1, {}) as worker:
        took = [worker.turn(), worker.turn()]
    assert all(turn.cpu > 0 and turn.wall > 0 for turn in took)


def test_a_worker_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ImseError, match=r"nothing\.onnx: no such file or directory"):
        Worker("count", 1, {"weights": str(tmp_path / "nothing.onnx")})


def test_a_worker_that_dies() -> None:
    with Worker("product", 1, {}) as worker:
        worker.close()
        with pytest.raises((ImseError, OSError, ValueError)):
            worker.turn()


def test_a_process_that_fails(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a sound")
    with pytest.raises(ImseError, match="1 of 1 files failed"):
        enhance_file(tmp_path / "text.wav", tmp_path / "out.wav")


def test_the_machine() -> None:
    machine = describe_machine()
    assert machine.processor
    assert machine.cores == processors()
    assert machine.packages["numpy"] == np.__version__


def test_a_record_without_anything_opened(tmp_path: Path) -> None:
    machine = Machine("Z80", 1, "CP/M", "3.10", {"torch": None})
    record = Record("0", machine, 1.0, 1, Spread(1, 1, 1), [], [], {"torch": "not here"})
    assert list(notes(record)) == [
        "Z80, 1 cores, CP/M, Python 3.10, torch not installed",
        "one core's float32 matrix product: 1.0 [1.0,1.0] GMAC/s",
        "torch left out: not here",
    ]
    record.write(tmp_path / "deep" / "record.json")
    assert json.loads((tmp_path / "deep" / "record.json").read_text())["left_out"] == {"torch": "not here"}
