"""`imse score` as people run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile


def imse(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imse", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=cwd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, example: Path) -> Path:
    """A noisy recording, the same with holes as its enhanced version, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("score")
    (folder / "rec").mkdir()
    shutil.copy(example, folder / "rec" / "talk.flac")
    samples, rate = soundfile.read(example)
    holes = np.where(np.arange(len(samples)) % rate < rate // 3, 0.003, 1)
    soundfile.write(folder / "rec" / "talk.enhanced.flac", samples * holes, rate)
    (folder / "rec" / "broken.wav").write_bytes(b"RIFF")
    return folder


def test_everything_it_writes(folder: Path) -> None:
    """Also with DNSMOS: the only run of it in these tests."""
    done = imse("score", "rec", "--json", "out/a.json", "--report", "out/a.html", "--jobs", "2", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "imse: rec/broken.wav: not audio that can be read (format not recognised)",
        "imse: 1 of the files and folders could not be read, or not to the end",
    ]
    assert max(map(len, done.stdout.splitlines())) <= 80
    before, after = (line.split() for line in done.stdout.splitlines() if re.match(r" (→ )?talk\.", line))
    assert (before[0], after[:2]) == ("talk.flac", ["→", "talk.enhanced.flac"])
    assert "of the clear speech is more than 10 dB weaker" in " ".join(done.stdout.split())
    assert after[2] != before[1]  # SIG
    recordings = json.loads((folder / "out" / "a.json").read_text())["recordings"]
    assert [recording["name"] for recording in recordings] == ["broken.wav", "talk.enhanced.flac"]
    assert recordings[0]["quality"] is None
    assert f"{recordings[1]['quality_before']['dnsmos_sig']:.2f}" == before[1]
    page = (folder / "out" / "a.html").read_text()
    assert page.count("<audio") == page.count("<img") == 2
    assert "could not be read" in page.lower()
    assert not re.search(r"https?:", page)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rec", "--before", "nothing"], "imse: nothing: no such file or folder"),
        (["rec", "--json", "rec"], "imse: rec: not a file; name a file to write"),
    ],
)
def test_errors_are_one_line(folder: Path, arguments: list[str], message: str) -> None:
    done = imse("score", *arguments, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == message
