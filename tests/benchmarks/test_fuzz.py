"""A minute of the attack of `benchmarks/fuzz.py`, with a fixed seed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import attacks
import fuzz
from imse.errors import ImseError
from imse.weights import find
from mutations import damaged_safetensors

SMALL = find("small", ".safetensors").read_bytes()

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and /proc are those of Linux")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("sound", 80), ("weights", 30), ("recipes", 150), ("manifests", 150)])
def test_damaged_files_are_used_or_refused_in_one_line(name: str, count: int) -> None:
    report = fuzz.attack(name, seed=1, count=count, seconds=300)
    assert (report.tried, dict(report.findings)) == (count, {})


def test_what_must_not_happen_is_noticed(tmp_path: Path) -> None:
    def found(use: Callable[[Path], None]) -> str:
        return fuzz.finding(attacks.Kind({}, lambda *_: b"", use), "a.wav", b"", tmp_path / "folder")

    def fail(path: Path) -> None:
        raise ZeroDivisionError(path)

    def print_much(path: Path) -> None:
        attacks.expect_one_line(ImseError(f"{path}: x\ny"))

    assert found(lambda path: None) == ""
    assert found(fail).startswith("ZeroDivisionError at ")
    assert found(print_much).startswith("Misbehaviour: a message that is not one line")


def test_a_process_that_ends_is_a_finding(capfd: pytest.CaptureFixture[str]) -> None:
    """Here because there is no such kind."""
    report = fuzz.attack("unknown", seed=1, count=2, seconds=300)
    assert (report.tried, dict(report.findings)) == (2, {"crash, exit code 1": 2})
    assert capfd.readouterr().out.splitlines()[0] == "unknown 1 0: crash, exit code 1"


@pytest.mark.parametrize("name", ["sound", "weights"])
def test_a_seed_makes_a_run_repeatable(name: str) -> None:
    def damage(_name: str, content: bytes, draw: Random) -> bytes:
        return damaged_safetensors(content, draw)

    kind = attacks.Kind({"small.safetensors": SMALL}, damage, lambda _: None)
    files = [attacks.mutation(kind, name, 5, number) for number in range(20)]
    assert files == [attacks.mutation(kind, name, 5, number) for number in range(20)]
    assert len({content for _, content in files}) > 15
