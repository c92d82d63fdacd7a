"""`imse evaluate` as people run it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 16_000


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three modulated tones, noisy and less noisy; the second enhanced file is silent."""
    random = np.random.default_rng(0)
    for k in range(3):
        seconds = np.arange(RATE) / RATE
        clean = 0.2 * np.sin(2 * np.pi * (200 + 50 * k) * seconds) * np.sin(2 * np.pi * 3 * seconds) ** 2
        noise = 0.02 * random.standard_normal(RATE)
        enhanced = clean + 0.3 * noise if k != 1 else 0 * clean
        for folder, signal_ in (("clean", clean), ("noisy", clean + noise), ("enhanced", enhanced)):
            (tmp_path / folder).mkdir(exist_ok=True)
            soundfile.write(tmp_path / folder / f"{k}.wav", signal_, RATE)
    return tmp_path


def imse(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imse", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "120"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **options)


def test_everything_it_writes(folders: Path) -> None:
    outputs = [folders / "out" / name for name in ("scores.json", "scores.csv", "report.html")]
    done = imse(
        *("evaluate", "--clean", folders / "clean", "--enhanced", folders / "enhanced", "--noisy", folders / "noisy"),
        *("--json", outputs[0], "--csv", outputs[1], "--report", outputs[2]),
        *("--measures", "ssnr_db, llr", "--jobs", "2"),
    )
    assert done.returncode == 0, done.stderr
    assert "Segmental SNR, dB ↑" in done.stdout
    assert "enhanced: LLR is missing for 1 file: file is silent" in done.stdout
    assert sorted(path.name for path in (folders / "out").iterdir()) == ["report.html", "scores.csv", "scores.json"]
    told = [line.removeprefix("written: ") for line in done.stdout.splitlines() if line.startswith("written: ")]
    assert sorted(told) == sorted(map(str, outputs))
    result = json.loads(outputs[0].read_text())
    [system] = result["enhanced"]
    assert system["summary"]["llr"]["missing"] == {"file is silent": 1}
    assert system["summary"]["ssnr_db"]["scored"] == 2
    assert system["files"][1]["scores"] == {}
    assert result["comparisons"][0]["files"] == 2
    with outputs[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["system"], row["id"]) for row in rows] == [(s, k) for s in ("noisy", "enhanced") for k in "012"]
    assert float(rows[3]["llr"]) == system["files"][0]["scores"]["llr"]
    assert (rows[4]["llr"], rows[4]["missing"]) == ("", "file is silent: ssnr_db, llr")


def test_an_error_is_one_line_and_leaves_nothing_behind(folders: Path) -> None:
    (folders / "enhanced" / "2.wav").unlink()
    done = imse(
        "evaluate", "--clean", folders / "clean", "--enhanced", folders / "enhanced", "--json", folders / "a.json"
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"imse: {folders}/clean/2.wav: no file of that name in {folders}/enhanced"
    ]
    assert not (folders / "a.json").exists()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("clean", "not a file; name a file to write"),
        ("clean/0.wav/scores/a.json", "{}/clean/0.wav is a file, not a folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_found_before_scoring(folders: Path, output: str, message: str) -> None:
    """Before even the folders are looked at, of which one is empty."""
    (folders / "empty").mkdir()
    target = folders / output
    done = imse("evaluate", "--clean", folders / "clean", "--enhanced", folders / "empty", "--json", target)
    assert done.returncode == 1
    assert done.stderr.strip() == f"imse: {target}: {message.format(folders.resolve())}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a standard output that takes nothing")
def test_files_are_written_though_nothing_can_be_printed(folders: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "imse", "evaluate", "--measures", "ssnr_db", "--jobs", "1"),
                *("--clean", folders / "clean", "--enhanced", folders / "enhanced", "--csv", folders / "a.csv"),
            ],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert done.returncode != 0
    assert len((folders / "a.csv").read_text().splitlines()) == 1 + 3


def test_a_file_that_exists_is_replaced_only_if_asked_to(folders: Path) -> None:
    report = folders / "report.html"
    report.write_text("precious")
    command: list[str | Path] = ["evaluate", "--measures", "ssnr_db", "--jobs", "1", "--report", report]
    command += ["--clean", folders / "clean", "--enhanced", folders / "enhanced"]
    done = imse(*command)
    assert (done.returncode, done.stderr) == (1, f"imse: {report}: already there; --overwrite replaces it\n")
    assert report.read_text() == "precious"
    assert imse(*command, "--overwrite").returncode == 0
    assert report.read_text() != "precious"


def test_unknown_measure(folders: Path) -> None:
    done = imse("evaluate", "--clean", folders / "clean", "--enhanced", folders / "enhanced", "--measures", "mos")
    assert done.returncode == 1
    assert done.stderr.startswith("imse: no such measure: 'mos'; there are pesq_wb, ")


# `imse evaluate` that stops after the first scored file, until its standard input is closed.
PAUSING = """
import sys
import imse.evaluate
from imse.__main__ import main

evaluate = imse.evaluate.evaluate

def pause(done, total):
    print("in the middle", flush=True)
    sys.stdin.read()

if __name__ == "__main__":
    imse.evaluate.evaluate = lambda *folders, **options: evaluate(*folders, **{**options, "progress": pause})
    main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of a terminal's Ctrl-C to a process group")
def test_interrupted(folders: Path) -> None:
    """Ctrl-C ends all processes without a traceback."""
    for k in range(3, 200):
        for folder in ("clean", "enhanced"):
            (folders / folder / f"{k}.wav").hardlink_to(folders / folder / "0.wav")
    command = ["evaluate", "--clean", folders / "clean", "--enhanced", folders / "enhanced", "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSING, *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
        # Ctrl-C works, even if the tests themselves are a background job of a script, which ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in the middle\n"
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)  # until every process has closed its standard error
    assert process.returncode == 130
    assert output == ""
    assert "Traceback" not in errors
