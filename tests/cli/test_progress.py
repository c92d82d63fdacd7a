"""Progress bars of `imse enhance`, on a stream that claims to be a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from imse.cli import progress
from imse.cli.progress import Bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work(files: int) -> None:
    with Bars(files) as bars:
        for number in range(files):
            file = Path("folder", f"{number}.wav")
            bars.update(file, 1, 4)
            bars.print(f"imse: [{number}] is damaged")
            bars.finish(file)


@pytest.mark.parametrize("files", [1, 3])
def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    monkeypatch.setattr(progress, "_SHOW_AFTER", 0)
    work(files)
    shown = terminal.getvalue()
    assert "0.wav" in shown
    assert "imse: [0] is damaged" in shown
    assert ("3 files" in shown) == (files == 3)


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_quick_work_and_no_terminal(monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO]) -> None:
    monkeypatch.setattr("sys.stderr", plain := stream())
    if stream is not Terminal:
        monkeypatch.setattr(progress, "_SHOW_AFTER", 0)
    work(2)
    assert plain.getvalue() == "imse: [0] is damaged\nimse: [1] is damaged\n"
