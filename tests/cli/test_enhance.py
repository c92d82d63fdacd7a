"""`imse enhance` as users run it, in new processes on real files."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audio.material import not_root
from imse import Enhancer
from imse.cli import _COMMANDS
from imse.cli.batch import Task, find_tasks, run
from imse.enhancer import FileResult
from imse.errors import describe

Floats = NDArray[np.float32]


def imse(*arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "imse", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, timeout=300, check=False)


def error_lines(result: subprocess.CompletedProcess[bytes]) -> list[str]:
    return [line for line in result.stderr.decode().splitlines() if line.startswith("imse: ")]


@pytest.fixture
def short(recording: Floats, tmp_path: Path) -> Path:
    path = tmp_path / "short.wav"
    soundfile.write(path, recording[:8_000], 16_000)
    return path


@pytest.fixture
def long(recording: Floats, tmp_path: Path) -> Path:
    """Ten minutes of audio, which take the small network a while."""
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for _ in range(113):
            file.write(recording)
    return path


def test_nothing_heavy_is_imported(short: Path, light_weights: Path) -> None:
    """Neither by `imse enhance`, whose start shows in the time of a short file, nor by the class."""
    code = f"""
import sys
from imse.cli import main
sys.argv = ["imse", "enhance", {str(short)!r}, "--weights", {str(light_weights)!r}]
try:
    main()
except SystemExit as exit:
    assert not exit.code, exit.code
heavy = ["torch", "scipy", "onnx", "av", "rich", "pydantic", "mutagen", "soxr"]
if "onnxruntime" not in sys.modules:
    heavy += ["numpy.ma", "importlib.metadata", "secrets"]
imported = {{*sys.modules}}
assert not imported & {{*heavy}}, imported & {{*heavy}}
import imse, numpy
imse.Enhancer({str(light_weights)!r}).enhance(numpy.zeros(100, numpy.float32), 16_000)
assert not {{*sys.modules}} & {{*heavy}} - {{"numpy.ma"}}  # which the check of the array needs
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert short.with_name("short.enhanced.wav").exists()


def test_one_file(short: Path, light_weights: Path) -> None:
    result = imse("enhance", short, "--weights", light_weights)
    assert result.returncode == 0
    output = short.with_name("short.enhanced.wav")
    before, after = soundfile.info(short), soundfile.info(output)
    assert (after.frames, after.samplerate, after.subtype) == (before.frames, before.samplerate, before.subtype)
    summary = result.stdout.decode()
    assert str(output) in summary
    assert "0.5 s of audio" in summary
    assert "real-time factor" in summary


@pytest.mark.parametrize(
    ("extension", "subtype", "sample_rate", "channels"),
    [
        (".wav", "PCM_U8", 8_000, 1),
        (".wav", "PCM_24", 44_100, 2),
        (".wav", "FLOAT", 96_000, 1),
        (".flac", "PCM_16", 48_000, 3),
        (".ogg", "VORBIS", 22_050, 1),
        (".opus", "OPUS", 48_000, 2),
        (".mp3", "MPEG_LAYER_III", 32_000, 1),
        (".aiff", "PCM_16", 16_000, 2),
    ],
)
def test_formats_are_kept(
    tmp_path: Path, light_weights: Path, extension: str, subtype: str, sample_rate: int, channels: int
) -> None:
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    samples = 0.1 * np.random.default_rng(0).standard_normal((sample_rate // 3, channels))
    file_format = "OGG" if extension == ".opus" else None
    soundfile.write(source, samples, sample_rate, subtype=subtype, format=file_format)
    assert imse("enhance", source, "-o", target, "--weights", light_weights).returncode == 0
    before, after = soundfile.info(source), soundfile.info(target)
    for what in ("samplerate", "channels", "frames", "format", "subtype"):
        assert getattr(after, what) == getattr(before, what), what


def test_a_folder_of_all_sorts(tmp_path: Path, short: Path, light_weights: Path) -> None:
    """Good files are done, each bad one is a line, the tree is mirrored, and the exit code says that some failed."""
    folder = tmp_path / "recordings"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.wav", "deeper/b.wav"):
        (folder / name).write_bytes(short.read_bytes())
    (folder / "text.wav").write_text("not a sound")
    (folder / "empty.flac").touch()
    (folder / "notes.txt").write_text("not for us")
    (folder / "cut.wav").write_bytes(short.read_bytes()[:30])
    result = imse("enhance", folder, "-o", tmp_path / "out", "--weights", light_weights, "--jobs", "2")
    assert result.returncode == 1
    written = sorted(
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert written == ["a.wav", "deeper/b.wav"]
    lines = error_lines(result)
    for bad in ("text.wav", "empty.flac", "cut.wav"):
        assert sum(bad in line for line in lines) == 1
    assert "3 of 5 files failed" in lines[-1]
    assert "Traceback" not in result.stderr.decode()


def test_odd_names_and_circular_links(tmp_path: Path, short: Path, small_weights: Path) -> None:
    """A name that is not UTF-8 works. A link to itself is reported, and the rest of the folder is enhanced."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    names = [b"M\xfcller.wav", b"good.wav", b"line\nbreak.wav"]
    for name in [*names, b"loop.wav"]:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(short.read_bytes())
    (out / "loop.wav").symlink_to("loop.wav")
    result = imse("enhance", folder, "-o", out, "--weights", small_weights)
    assert {os.fsencode(path.name) for path in out.iterdir() if path.exists()} == set(names)
    assert error_lines(result) == [
        f"imse: {out}/loop.wav: too many levels of symbolic links",
        "imse: 1 of 4 files failed",
    ]
    assert result.returncode == 1
    again = imse("enhance", folder, "-o", out, "--weights", small_weights)
    assert error_lines(again) == [
        f"imse: {out}/loop.wav: too many levels of symbolic links",
        f"imse: {out}/M\\xfcller.wav and 2 more output files are already there: --skip-existing or --overwrite",
    ]


def test_what_is_left_of_a_damaged_file_is_enhanced_and_the_exit_code_tells(short: Path, small_weights: Path) -> None:
    short.write_bytes(short.read_bytes()[:9_000])
    result = imse("enhance", short, "--weights", small_weights)
    assert result.returncode == 1
    frames = soundfile.info(short.with_name("short.enhanced.wav")).frames
    assert error_lines(result) == [f"imse: {short}: damaged or cut short; {frames} samples could be read"]


def test_folders_that_cannot_be_read_are_passed_over() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, closed = Path(name, "in"), Path(name, "in", "closed")
        closed.mkdir(parents=True)
        (folder / "a.wav").touch()
        for path in (Path(name), folder):
            path.chmod(0o755)
        closed.chmod(0o000)
        errors: list[OSError] = []
        with not_root():
            tasks = find_tasks([folder], None, errors.append)
        assert [task.source for task in tasks] == [folder / "a.wav"]
        assert [describe(error) for error in errors] == [f"{closed}: permission denied"]


@pytest.mark.parametrize(
    ("streams", "arguments", "code", "errors"),
    [
        ("<&-", "- -o out.wav", 1, ["imse: standard input is closed"]),
        (">&-", "short.wav -o -", 1, ["imse: standard output is closed"]),
        ("2>&-", "short.wav -o out.wav", 0, []),
        ("<&- >&- 2>&-", "short.wav -o out.wav", 0, []),
    ],
)
def test_closed_standard_streams(
    streams: str, arguments: str, code: int, errors: list[str], short: Path, small_weights: Path
) -> None:
    command = f'"$0" -m imse enhance {arguments} --weights "$1" {streams}'
    result = subprocess.run(
        ["sh", "-c", command, sys.executable, small_weights], capture_output=True, cwd=short.parent, check=False
    )
    assert result.returncode == code, result.stderr
    assert result.stderr.decode().splitlines() == errors
    assert set(short.parent.iterdir()) - {short} == ({short.with_name("out.wav")} if code == 0 else set())


def test_a_full_temporary_folder_is_named(short: Path, small_weights: Path, tmp_path: Path) -> None:
    """As if it was full: no file may become larger than 4 kB."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for arguments in (("-", "-o", tmp_path / "out.wav"), (short, "-o", "-")):
        result = subprocess.run(
            [sys.executable, "-m", "imse", "enhance", *arguments, "--weights", small_weights],
            input=short.read_bytes(),
            capture_output=True,
            env={**os.environ, "TMPDIR": str(temporary)},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096)),
            check=False,
        )
        assert result.returncode == 1
        assert result.stderr.decode().splitlines() == [f"imse: {temporary}: file too large"]
        assert result.stdout == b""
    assert list(temporary.iterdir()) == []


def test_what_a_folder_has_and_nobody_writes_gets_advice_that_can_be_followed(
    short: Path, small_weights: Path, tmp_path: Path
) -> None:
    """The summary counts what was done, not what failed."""
    folder = tmp_path / "folder"
    folder.mkdir()
    short.rename(folder / "a.wav")
    (folder / "b.avi").write_bytes((folder / "a.wav").read_bytes())
    result = imse("enhance", folder, "--weights", small_weights)
    assert result.stdout.decode().startswith(f"1 file in {tmp_path}/folder.enhanced: 0.5 s")
    assert error_lines(result) == [
        f"imse: {folder}/b.avi: cannot write .avi files; enhance it alone, with -o NAME.wav",
        "imse: 1 of 2 files failed",
    ]
    assert imse("enhance", folder / "b.avi", "-o", tmp_path / "b.wav", "--weights", small_weights).returncode == 0


def test_out_of_memory_is_the_failure_of_one_file(
    short: Path, small_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enhancer = Enhancer(small_weights)
    enhance_file = enhancer.enhance_file

    def fail_once(source: Path, *arguments: Any) -> FileResult:
        if source.name == "large.wav":
            raise MemoryError
        return enhance_file(source, *arguments)

    monkeypatch.setattr(enhancer, "enhance_file", fail_once)
    tasks = [
        Task(source, source.with_name(f"{source.stem}.out.wav")) for source in (short.with_name("large.wav"), short)
    ]
    outcome = run(enhancer, tasks, jobs=1, overwrite=False)
    assert (outcome.done, outcome.failed) == (1, 1)
    assert capsys.readouterr().err == f"imse: {short.with_name('large.wav')}: not enough memory\n"


def test_a_folder_beside_itself(tmp_path: Path, short: Path, light_weights: Path) -> None:
    """Without -o the results are beside the folder; none of the results is taken for an input the next time."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    short.rename(folder / "a.wav")
    assert imse("enhance", "recordings", "--weights", light_weights, cwd=tmp_path).returncode == 0
    assert (tmp_path / "recordings.enhanced" / "a.wav").exists()
    assert imse("enhance", "recordings/a.wav", "--weights", light_weights, cwd=tmp_path).returncode == 0
    assert (folder / "a.enhanced.wav").exists()
    for _ in range(2):
        inside = imse("enhance", ".", "-o", "done", "--weights", light_weights, "--overwrite", cwd=folder)
        assert inside.returncode == 0
    assert [path.name for path in (folder / "done").iterdir()] == ["a.wav"]


def test_pipes(short: Path, light_weights: Path, tmp_path: Path) -> None:
    through = imse("enhance", "-", "-o", "-", "--weights", light_weights, stdin=short.read_bytes())
    assert through.returncode == 0
    assert imse("enhance", short, "-o", tmp_path / "file.wav", "--weights", light_weights).returncode == 0
    assert through.stdout == (tmp_path / "file.wav").read_bytes()
    assert imse("enhance", "-", "--weights", light_weights).returncode == 1


@pytest.mark.parametrize("extension", [".wav", ".mp3", ".ogg", ".opus"])
def test_attenuation_limit_of_zero(tmp_path: Path, light_weights: Path, extension: str) -> None:
    """Lossy files, too, stay as they are: they are not encoded again."""
    source, target = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    samples = 0.1 * np.random.default_rng(0).standard_normal(24_000)
    soundfile.write(
        source,
        samples,
        48_000,
        format="OGG" if extension == ".opus" else None,
        subtype="OPUS" if extension == ".opus" else None,
    )
    assert imse("enhance", source, "-o", target, "--weights", light_weights, "--attenuation-limit", "0").returncode == 0
    assert target.read_bytes() == source.read_bytes()


def test_finishing(short: Path, small_weights: Path) -> None:
    """What was taken away goes to a file, loudness that peaks do not allow is one line, and the exit code is 0."""
    options = ("--weights", small_weights, "--high-pass", "80", "--loudness", "0")
    result = imse("enhance", short.name, "-o", "out.wav", "--residual", "noise.wav", *options, cwd=short.parent)
    assert result.returncode == 0
    (line,) = error_lines(result)
    assert re.fullmatch(
        r"imse: out\.wav: loudness -\d+\.\d LUFS instead of 0, so that the true peak is not above -1 dBTP", line
    )
    assert soundfile.info(short.with_name("noise.wav")).frames == soundfile.info(short).frames


def test_what_was_taken_away_mirrors_the_folder(tmp_path: Path, short: Path, small_weights: Path) -> None:
    """Also inside the input, where it is not taken for another input the next time."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for place in (folder / "a.wav", folder / "sub" / "b.wav"):
        shutil.copy(short, place)
    residual = folder / "noise"
    for output in ("out", "again"):
        command = ("enhance", folder, "-o", tmp_path / output, "--weights", small_weights, "--overwrite")
        assert imse(*command, "--residual", residual).returncode == 0
        for root in (tmp_path / output, residual):
            assert {file.relative_to(root) for file in root.rglob("*.*")} == {Path("a.wav"), Path("sub/b.wav")}


def test_clipped_samples_are_counted_in_one_line(short: Path, small_weights: Path) -> None:
    x, sample_rate = soundfile.read(short)
    loud = short.with_name("loud.wav")
    soundfile.write(loud, 4 * x / np.abs(x).max(), sample_rate, "FLOAT")
    result = imse("enhance", loud.name, "-o", "out.flac", "--weights", small_weights, cwd=loud.parent)
    assert result.returncode == 0
    (line,) = error_lines(result)
    assert re.fullmatch(r"imse: out\.flac: \d+ samples beyond full scale were clipped", line)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--residual", "-"), "what was taken away cannot go to standard output; give --residual a file or a folder"),
        (("--residual", "short.wav"), "short.wav: an input; what was taken away needs another place"),
        (("--residual", "out.wav"), "out.wav: the output and what was taken away would be written to one file"),
        (("--high-pass", "5"), "invalid value for '--high-pass': 5.0 is not in the range"),
        (("--loudness", "16"), "invalid value for '--loudness': 16.0 is not in the range"),
    ],
)
def test_finishing_that_cannot_be_done(
    short: Path, small_weights: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = short.read_bytes()
    command = ("enhance", "short.wav", "-o", "out.wav", "--weights", small_weights, "--overwrite")
    result = imse(*command, *arguments, cwd=short.parent)
    assert result.returncode != 0
    assert error_lines(result)[0].startswith(f"imse: {message}")
    assert list(short.parent.iterdir()) == [short]
    assert short.read_bytes() == before


def test_outputs_in_several_places(short: Path, light_weights: Path, tmp_path: Path) -> None:
    """Relative and absolute, both beside their inputs; and a folder into itself."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "b.wav").write_bytes(short.read_bytes())
    result = imse("enhance", "b.wav", short, "--weights", light_weights, cwd=tmp_path / "here")
    assert result.returncode == 0
    assert f"2 files in {tmp_path}" in result.stdout.decode()
    assert (tmp_path / "here" / "b.enhanced.wav").exists()
    assert (
        imse("enhance", "here", "-o", "here", "--overwrite", "--weights", light_weights, cwd=tmp_path).returncode == 0
    )
    assert imse("enhance", "here", "-o", ".", "--weights", light_weights, cwd=tmp_path).returncode == 0
    assert (tmp_path / "b.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.wav"], "imse: nowhere.wav: no such file or directory"),
        (["text.txt"], "imse: text.txt: not audio"),
        (["short.wav", "--weights", "missing.onnx"], "imse: missing.onnx: no such weights"),
        (["short.wav", "--weights", "text.txt"], "imse: text.txt: neither a safetensors file nor a published"),
        (["short.wav", "-o", "short.wav"], "imse: short.wav: already there; --overwrite replaces it"),
        (["short.wav", "-o", "out.xyz"], "imse: out.xyz: cannot write .xyz files"),
        (["short.wav", "-o", "text.txt/out.wav"], "imse: text.txt/out.wav: "),
        (["folder"], "imse: folder: no audio files in this folder"),
        (["short.wav", "copy/short.wav", "-o", "out"], "imse: out/short.wav: both"),
        (["folder", "-o", "-"], "imse: folder: a folder cannot go to standard output"),
        (["short.wav", "copy/short.wav", "-o", "two.wav"], "imse: two.wav: the name of a file, but several inputs go"),
        (["copy", "-o", "two.wav"], "imse: two.wav: the name of a file, but the output of a folder goes to a folder"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, short: Path, small_weights: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "text.txt").write_text("not a sound")
    (tmp_path / "folder").mkdir()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "short.wav").write_bytes(short.read_bytes())
    before = short.read_bytes()
    weights = [] if "--weights" in arguments else ["--weights", str(small_weights)]
    result = imse("enhance", *arguments, *weights, cwd=tmp_path)
    assert result.returncode == 1
    assert error_lines(result)[0].startswith(message)
    assert "Traceback" not in result.stderr.decode()
    assert short.read_bytes() == before


def test_wrong_options(short: Path) -> None:
    """One line that says what to do, and exit code 2."""
    for arguments, message in (
        ((short,), f"imse: no command '{short}'; to clean a recording: imse enhance {short} (imse --help)"),
        (("enhanse", short), "imse: no command 'enhanse'; did you mean 'enhance'? (imse --help)"),
        (("enhance",), "imse: missing argument 'INPUT...' (imse enhance --help)"),
        (
            ("enhance", short, "--overwrite", "--skip-existing"),
            "imse: --overwrite and --skip-existing exclude each other (imse enhance --help)",
        ),
    ):
        result = imse(*arguments)
        assert result.returncode == 2
        assert result.stderr.decode() == message + "\n"


def test_help_lists_every_command_with_a_whole_sentence() -> None:
    for arguments in ((), ("-h",)):
        result = imse(*arguments)
        assert result.returncode == 0
        text = " ".join(result.stdout.decode().split())
        for name in _COMMANDS:
            sentence = getattr(import_module(f"imse.cli.{name}"), name).help.partition(".")[0]
            assert f" {name} {' '.join(sentence.split())}." in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a standard output that takes nothing")
def test_a_full_standard_output_is_named(short: Path, small_weights: Path) -> None:
    for arguments in (["--version"], ["enhance", short, "-o", "-", "--weights", small_weights]):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "imse", *arguments]
            result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
        assert result.returncode == 1
        assert result.stderr == b"imse: standard output: no space left on device\n"


def test_a_folder_by_its_slash(short: Path, small_weights: Path, tmp_path: Path) -> None:
    assert imse("enhance", short, "-o", "new.d/", "--weights", small_weights, cwd=tmp_path).returncode == 0
    assert (tmp_path / "new.d" / "short.wav").exists()


def test_outputs_that_exist(short: Path, small_weights: Path, tmp_path: Path) -> None:
    """They are told in one line, the others are made; or they are skipped, and that is a success."""
    folder, out = tmp_path / "in", tmp_path / "out"
    for parent in (folder, out):
        parent.mkdir()
    for name in ("a.wav", "b.wav", "c.wav"):
        (folder / name).write_bytes(short.read_bytes())
    (out / "a.wav").write_text("precious")
    first = imse("enhance", folder, "-o", out, "--weights", small_weights)
    assert first.returncode == 1
    assert error_lines(first) == [f"imse: {out}/a.wav is already there: --skip-existing or --overwrite"]
    assert first.stdout.decode().startswith(f"2 files in {out}: ")
    (out / "c.wav").unlink()
    second = imse("enhance", folder, "-o", out, "--weights", small_weights, "--skip-existing")
    assert second.returncode == 0
    skipped, made = second.stdout.decode().splitlines()
    assert skipped == f"{out}/a.wav and 1 more output file are already there"
    assert made.startswith(f"{out}/c.wav: ")
    assert imse("enhance", folder, "-o", out, "--weights", small_weights, "--skip-existing").returncode == 0
    assert (out / "a.wav").read_text() == "precious"


def test_in_place(short: Path, light_weights: Path) -> None:
    before = short.read_bytes()
    assert imse("enhance", short, "-o", short, "--overwrite", "--weights", light_weights).returncode == 0
    assert short.read_bytes() != before
    assert soundfile.info(short).frames == 8_000


PAUSING = """
import sys
import imse.enhancer
from imse.cli import main

open_engine = imse.enhancer.open_engine

class Pausing:
    def __init__(self, *arguments):
        self._engine = open_engine(*arguments)
        self.batch = self._engine.batch
        self._calls = 0

    def __call__(self, waveform):
        self._calls += 1
        if self._calls == 6:
            print("in the middle", flush=True)
            sys.stdin.read()
        return self._engine(waveform)

imse.enhancer.open_engine = Pausing
main()
"""


def start_and_wait_for_the_middle(
    *arguments: str | Path, sigint: signal.Handlers = signal.SIG_DFL
) -> subprocess.Popen[bytes]:
    """`imse enhance` in the middle of a file, waiting for its standard input to be closed.

    By default Ctrl-C and hang-ups work, even if the tests themselves are a background job, or run by nohup.
    """

    def dispositions() -> None:
        signal.signal(signal.SIGINT, sigint)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    process = subprocess.Popen(
        [sys.executable, "-c", PAUSING, "enhance", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=dispositions,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in the middle\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted(long: Path, light_weights: Path, number: signal.Signals) -> None:
    """However it is ended, the output does not exist. After SIGINT or SIGTERM no temporary file remains either."""
    output = long.with_name("out.wav")
    process = start_and_wait_for_the_middle(long, "-o", output, "--weights", light_weights)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    remains = set(long.parent.iterdir()) - {long}
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        (left,) = remains
        assert left != output
        result = imse("enhance", long, "-o", output, "--weights", light_weights, "--attenuation-limit", "0")
        assert result.returncode == 0
        assert set(long.parent.iterdir()) == {long, output}
    else:
        assert process.returncode == 130
        assert not remains
        assert b"imse: interrupted" in stderr
        assert b"Traceback" not in stderr


def test_interrupted_with_several_files_at_work(long: Path, light_weights: Path) -> None:
    other = long.with_name("other.wav")
    os.link(long, other)
    process = start_and_wait_for_the_middle(long, other, "--jobs", "2", "--weights", light_weights)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert set(long.parent.iterdir()) == {long, other}
    assert b"imse: interrupted" in stderr
    assert b"Traceback" not in stderr


@pytest.mark.parametrize("numbers", [[signal.SIGHUP], [signal.SIGINT] * 4, [signal.SIGTERM, signal.SIGINT]])
def test_neither_a_closed_terminal_nor_impatience_leaves_a_partial_file(
    numbers: list[signal.Signals], long: Path, light_weights: Path
) -> None:
    inputs = [long, *(long.with_name(f"{number}.wav") for number in range(3))]
    for link in inputs[1:]:
        os.link(long, link)
    process = start_and_wait_for_the_middle(*inputs, "--jobs", "4", "--weights", light_weights)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.1)  # signals of one kind that come at once are one signal
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert set(long.parent.iterdir()) == set(inputs)
    assert b"imse: interrupted" in stderr
    assert b"Traceback" not in stderr


def test_interrupted_while_modules_are_imported() -> None:
    """At whatever import it comes, there is no traceback."""
    code = """
import signal, sys
from imse.__main__ import main
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["imse", "--version"]
main()
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        check=False,
    )
    assert result.returncode == -signal.SIGINT
    assert result.stderr == b""


def test_a_background_job_of_a_script_goes_on_when_the_script_is_interrupted(
    recording: Floats, light_weights: Path, tmp_path: Path
) -> None:
    """Shells start `imse enhance ... &` with SIGINT ignored, and that stays so."""
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, np.tile(recording, 6), 16_000)
    process = start_and_wait_for_the_middle(source, "-o", target, "--weights", light_weights, sigint=signal.SIG_IGN)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert soundfile.info(target).frames == 6 * len(recording)


def test_interrupted_while_waiting_for_standard_input(small_weights: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "imse", "enhance", "-", "-o", "out.wav", "--weights", str(small_weights)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(bytes(2**20))  # more than a pipe holds: all of it written, it is being read
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=120)
    assert process.returncode == 130, process.stderr.read()
    process.stdin.close()
    process.stderr.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
def test_ten_minutes_in_400_megabytes(long: Path, small_weights: Path) -> None:
    code = rf"""
from imse import Enhancer
from imse.cli import _COMMANDS
Enhancer({str(small_weights)!r}).enhance_file({str(long)!r}, {str(long.with_name("out.wav"))!r})
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert soundfile.info(long.with_name("out.wav")).frames == soundfile.info(long).frames
    assert int(result.stdout) < 400 * 1024
