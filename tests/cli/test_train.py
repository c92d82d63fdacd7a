"""`imse train` and `imse data manifest`: errors before torch is imported, and own weights from own recordings."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from imse.cli import app
from imse.enhancer import Enhancer

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
TINY = RECIPES / "tiny"

CASES = """
import sys
from imse.cli import main

for arguments, expected in CASES:
    sys.argv = ["imse", "train", *arguments]
    try:
        main()
    except SystemExit as exit:
        assert expected in str(exit.code), (arguments, exit.code)
        assert len(str(exit.code).splitlines()) == 1
    else:
        raise AssertionError(arguments)
assert "torch" not in sys.modules
"""


def test_recipes_paths_and_data_are_checked_without_torch(tmp_path: Path) -> None:
    recipe = str(RECIPES / "finetune.toml")
    done = tmp_path / "done"
    done.mkdir()
    (done / "last.ckpt").touch()
    (tmp_path / "table.tsv").write_text("file\tkind\n")
    cases = [
        (["nowhere.toml"], "nowhere.toml: no such file"),
        ([str(tmp_path)], "a folder, not a recipe"),
        ([recipe, "--set", "optim.lr=-1"], "'optim.lr': input should be greater than 0"),
        ([recipe, "--set", "run.accelerator=tpu"], "'run.accelerator'"),
        ([recipe, "--set", "run.start_from=nowhere"], "nowhere: no such weights"),
        ([recipe, "--set", "teacher.weights=nowhere"], "nowhere: no such weights"),
        ([recipe, "--set", "run.folder=/dev/null/run"], "/dev/null is a file, not a folder"),
        ([recipe, "--set", f"run.folder={done}"], f"imse train {done} --resume"),
        ([recipe, "--set", "data.manifest=/dev/zero"], "a pipe or a device"),
        ([recipe, "--data", "nowhere"], "nowhere: no such table"),
        ([recipe, "--data", str(tmp_path)], "MANIFEST.tsv: no such table"),
        ([recipe, "--data", str(tmp_path / "table.tsv")], "no column 'source'"),
        (
            [recipe, "--set", "data.held_out_noises=[gale]", "--set", 'data.held_out_noises=["gale"]'],
            "'gale' is not in",
        ),
        ([recipe, "--resume", "--set", f"run.folder={tmp_path}"], "no run to resume"),
        ([str(done), "--resume"], "no run to resume"),
        ([str(done), "--resume", "--data", "mine"], "--data has no effect with --resume"),
    ]
    code = CASES.replace("CASES", repr(cases))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def manifest(*arguments: str | Path) -> tuple[int, str, list[dict[str, str]]]:
    """Exit code, all output, and rows of the table, which comes last in the arguments."""
    result = CliRunner().invoke(app, ["data", "manifest", *map(str, arguments)])
    path = Path(arguments[-1])
    text = path.read_text() if path.exists() else ""
    return (
        result.exit_code,
        f"{result.output}{result.exception or ''}",
        list(csv.DictReader(text.splitlines(), delimiter="\t")),
    )


def test_the_table_of_the_tiny_corpus_is_what_the_command_makes(tmp_path: Path) -> None:
    code, output, rows = manifest("--speech", TINY / "speech", "--noise", TINY / "noise", "-o", tmp_path / "M.tsv")
    assert code == 0, output
    with (TINY / "MANIFEST.tsv").open(newline="") as file:
        expected = list(csv.DictReader(file, delimiter="\t"))
    assert rows == [{**row, "file": str(TINY / row["file"])} for row in expected]
    assert sum(path.stat().st_size for path in TINY.rglob("*") if path.is_file()) < 1_000_000


def test_files_that_cannot_be_used_are_listed_and_the_exit_code_says_so(tmp_path: Path) -> None:
    speech, noise, table = tmp_path / "speech", tmp_path / "noise", tmp_path / "M.tsv"
    (speech / "deep").mkdir(parents=True)
    noise.mkdir()
    samples, rate = soundfile.read(TINY / "noise" / "rain.opus")
    for path in (speech / "ann_1.wav", speech / "ann_2.wav", speech / "deep" / "bob_1.flac", noise / "wind.wav"):
        soundfile.write(path, samples, rate)
    soundfile.write(noise / "stereo.wav", samples[:48_000].reshape(-1, 2), 44_100)
    soundfile.write(speech / "telephone.wav", samples, 8_000)
    (speech / "broken.flac").write_bytes(b"fLaC" + bytes(100))
    (speech / "notes.txt").write_text("not audio")
    code, output, rows = manifest("--speech", speech, "--noise", noise, "-o", table)
    assert code == 1
    for line in ("broken.flac: not audio", "telephone.wav: 8000 Hz", "2 of the files"):
        assert line in output
    assert [(row["file"], row["speaker_or_type"], row["seconds"]) for row in rows] == [
        ("speech/ann_1.wav", "ann", "6.000"),
        ("speech/ann_2.wav", "ann", "6.000"),
        ("speech/deep/bob_1.flac", "deep", "6.000"),
        ("noise/stereo.wav", "stereo", "0.544"),
        ("noise/wind.wav", "wind", "6.000"),
    ]
    assert {row["speaker_or_type"] for row in rows if row["split"] == "held_out"} == {"deep", "stereo"}
    assert manifest("--speech", speech, "--noise", noise, "-o", table)[1].endswith("--overwrite replaces it")


def test_speakers_by_pattern_and_held_out_by_name(tmp_path: Path) -> None:
    for name in ("1-ann", "2-ann", "1-bob"):
        soundfile.write(tmp_path / f"{name}.wav", soundfile.read(TINY / "noise" / "rain.opus")[0], 16_000)
    folders = ("--speech", tmp_path, "--noise", TINY / "noise", "--speaker", r"-(\w+)\.")
    code, output, rows = manifest(*folders, "--held-out", "ann", "--held-out", "fan", "-o", tmp_path / "M.tsv")
    assert code == 0, output
    assert [row["speaker_or_type"] for row in rows if row["split"] == "held_out"] == ["ann", "ann", "fan"]
    for name, message in (("eve", "'eve' is no speaker"), ("(", "not a regular expression")):
        wrong = ("--speaker", name) if name == "(" else ("--held-out", name)
        assert message in manifest(*folders, *wrong, "-o", tmp_path / "other.tsv")[1]
    code, output, _ = manifest(*folders, "--held-out", "ann", "--held-out", "bob", "-o", tmp_path / "other.tsv")
    assert "all speech is held out" in output
    assert code == 1
    assert not (tmp_path / "other.tsv").exists()


def test_of_a_single_recording_the_end_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    samples = soundfile.read(TINY / "noise" / "rain.opus")[0]
    soundfile.write(tmp_path / "noise" / "fan.wav", samples, 16_000)
    folders = ("--speech", TINY / "speech", "--noise", tmp_path / "noise")
    _, _, rows = manifest(*folders, "-o", tmp_path / "M.tsv")
    noise = [(row["split"], row["start"], row["seconds"]) for row in rows if row["kind"] == "noise"]
    assert noise == [("train", "0.000", "4.000"), ("held_out", "4.000", "2.000")]
    soundfile.write(tmp_path / "noise" / "fan.wav", samples[:50_000], 16_000)
    assert "at least 6 s are needed" in manifest(*folders, "-o", tmp_path / "other.tsv")[1]


@pytest.mark.slow
def test_own_weights_from_own_noise_in_two_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of docs/training.md, with few steps. Slow: the whole network is trained, validated and scored."""
    monkeypatch.chdir(tmp_path)
    code, output, _ = manifest("--speech", TINY / "speech", "--noise", TINY / "noise", "-o", "mine.tsv")
    assert code == 0, output
    few = ["optim.steps=2", "optim.batch_size=1", "optim.segment_samples=4000"]
    quick = ["validation.utterances=1", "validation.samples=0", "validation.workers=1"]
    settings = [word for setting in (*few, *quick) for word in ("--set", setting)]
    result = CliRunner().invoke(app, ["train", str(RECIPES / "finetune.toml"), "--data", "mine.tsv", *settings])
    assert result.exit_code == 0, result.output
    *_, outcome = result.stdout.splitlines()
    assert "runs/finetune/best.safetensors: the weights of step" in outcome
    assert "the best by balanced" in outcome
    samples, rate = soundfile.read(TINY / "noise" / "rain.opus", dtype="float32")
    enhanced = Enhancer(tmp_path / "runs" / "finetune" / "best.safetensors").enhance(samples[:8_000], rate)
    assert 0 < abs(enhanced).max() < 1
