"""A file appears under its name whole or not at all, whatever error occurs."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.material import not_root, open_writer_like, read, rewrite, speechlike
from imse.atomic_write import atomic_write, is_temporary
from imse.audio import AudioInfo, find_audio, open_reader
from imse.audio.callbacks import CallbackFile
from imse.errors import ImseError, describe

INFO = AudioInfo(16_000, 1, 16_000, "WAV", "PCM_16", ".wav")
EXTENSIONS = [".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".m4a", ".mka"]


def write(target: Path, seconds: int = 1, then: BaseException | None = None) -> None:
    with open_writer_like(target, INFO) as writer:
        for _ in range(seconds):
            writer.write(speechlike(16_000, 16_000))
        if then is not None:
            raise then


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As if the disk had no more room: errors, not a signal, as Python ignores SIGXFSZ."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_remains_of_what_fails(extension: str, error: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(error):
        write(tmp_path / f"out{extension}", then=error())
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "out.wav"
    target.write_bytes(b"old")
    with pytest.raises(ValueError, match="no"):
        write(target, then=ValueError("no"))
    assert target.read_bytes() == b"old"
    with open_writer_like(target, INFO) as writer:
        writer.write(speechlike(16_000, 16_000))
        assert target.read_bytes() == b"old"
    assert read(target)[0].frames == 16_000
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_can_be_replaced_by_what_is_made_of_it(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, speechlike(50_000, 16_000), 16_000)
    before = read(file)[1]
    rewrite(file, file, frames_per_block=1000)
    np.testing.assert_array_equal(read(file)[1], before)


WRITE_FOR_EVER = """
    import sys
    from pathlib import Path
    import numpy as np
    from imse.audio import AudioInfo, open_writer

    with open_writer(Path(sys.argv[1]), AudioInfo(16_000, 1, 16_000, "WAV", "PCM_16", ".wav")) as writer:
        for _ in range(100_000):
            writer.write(np.zeros((16_000, 1)))
            print("more", flush=True)
"""


@contextmanager
def running(code: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A Python that has printed its first line."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    # A background job of a script ignores SIGINT, and so would what it starts.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_run_leaves_nothing_under_the_name_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    target = tmp_path / "out.wav"
    with running(WRITE_FOR_EVER, target) as process:
        process.kill()
        process.wait()
    (left,) = tmp_path.iterdir()
    assert left != target
    assert is_temporary(left)
    assert find_audio(tmp_path) == []
    with open_writer_like(target, INFO) as writer:
        writer.write(speechlike(16_000, 16_000))
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    with running(WRITE_FOR_EVER, tmp_path / "out.wav") as process:
        process.send_signal(signal.SIGINT)
        assert process.wait() != 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_an_interrupt_while_a_library_calls_back_is_not_lost(
    extension: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_through = CallbackFile.write
    calls = itertools.count()

    def interrupted(self: CallbackFile, data: bytes) -> int:
        if next(calls) == 0:
            signal.raise_signal(signal.SIGINT)
        return write_through(self, data)

    monkeypatch.setattr(CallbackFile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / f"out{extension}", seconds=3)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_of_two_runs_that_write_the_same_file_the_first_gives_up(tmp_path: Path) -> None:
    target = tmp_path / "out.wav"
    with pytest.raises(ImseError, match="another run is writing the same file"), open_writer_like(target, INFO):
        write(target, seconds=2)
    assert read(target)[0].frames == 32_000
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_full_disk_is_an_error_with_the_name_of_the_file(extension: str, tmp_path: Path) -> None:
    target = tmp_path / f"out{extension}"
    with pytest.raises(OSError, match="File too large") as caught, files_of_at_most(5_000):
        write(target, seconds=5)
    assert caught.value.errno == errno.EFBIG
    assert describe(caught.value) == f"{target}: file too large"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("missing", [1, 300, 100_000])
def test_a_file_that_does_not_quite_fit_is_an_error_too(extension: str, missing: int, tmp_path: Path) -> None:
    """Encoders write their last bytes, and their headers again, when they are closed."""
    whole = tmp_path / f"whole{extension}"
    write(whole)
    room = max(0, whole.stat().st_size - missing)
    with pytest.raises(OSError, match="File too large"), files_of_at_most(room):
        write(tmp_path / f"out{extension}")
    assert list(tmp_path.iterdir()) == [whole]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        with open_writer_like(tmp_path / "new.wav", INFO) as writer:
            writer.write(speechlike(10, 16_000))
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new.wav").stat().st_mode) == 0o640


def test_permissions_of_a_file_that_is_replaced_stay(tmp_path: Path) -> None:
    target = tmp_path / "old.wav"
    target.touch()
    target.chmod(0o604)
    with open_writer_like(target, INFO) as writer:
        writer.write(speechlike(10, 16_000))
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_stays_one(there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    real, link = folder / "real.wav", tmp_path / "link.wav"
    if there:
        real.touch()
    link.symlink_to(real)
    with open_writer_like(link, INFO) as writer:
        writer.write(speechlike(10, 16_000))
    assert link.is_symlink()
    assert read(real)[0].frames == 10
    assert list(folder.iterdir()) == [real]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "out.wav"
    with open_writer_like(target, INFO) as writer:
        writer.write(speechlike(10, 16_000))
    assert target.is_file()


@pytest.mark.parametrize("length", [200, 255])
def test_names_may_be_as_long_as_the_file_system_allows(length: int, tmp_path: Path) -> None:
    target = tmp_path / f"{'é' * ((length - 4) // 2)}.wav"
    with open_writer_like(target, INFO) as writer:
        writer.write(speechlike(10, 16_000))
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_or_a_pipe_is_not_overwritten(tmp_path: Path) -> None:
    folder, pipe = tmp_path / "folder.wav", tmp_path / "pipe.wav"
    folder.mkdir()
    os.mkfifo(pipe)
    with pytest.raises(IsADirectoryError) as caught, open_writer_like(folder, INFO):
        pass
    assert describe(caught.value) == f"{folder}: is a directory"
    with pytest.raises(ImseError, match=r"pipe\.wav: a device or a pipe"), open_writer_like(pipe, INFO):
        pass


def test_a_folder_that_cannot_be_made_is_an_error_with_the_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "out.wav"
    with pytest.raises(NotADirectoryError) as caught, open_writer_like(target, INFO):
        pass
    assert describe(caught.value) == f"{target}: not a directory"


def test_no_permission_is_an_error_with_the_name_of_the_file() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        target = Path(folder, "out.wav")
        with pytest.raises(PermissionError) as caught, not_root():
            write(target)
        assert describe(caught.value) == f"{target}: permission denied"


def test_a_source_that_cannot_be_read_leaves_no_output(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, [0.0, np.nan], 16_000, "FLOAT")
    with pytest.raises(ImseError, match="NaN"):
        rewrite(source, tmp_path / "out.wav")
    assert list(tmp_path.iterdir()) == [source]
    with open_reader(source) as reader:
        assert reader.info.frames == 2


def test_several_writers_of_the_same_content_do_not_disturb_each_other(tmp_path: Path) -> None:
    target = tmp_path / "cache.npz"
    with atomic_write(target, several_writers=True) as one:
        one.write(b"content")
        with atomic_write(target, several_writers=True) as other:
            np.savez(other, samples=np.arange(5))
        assert list(np.load(target)["samples"]) == [0, 1, 2, 3, 4]
    assert target.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [target]


WRITE_A_SHARED_FILE_FOR_EVER = """
    import sys, time
    from pathlib import Path
    from imse.atomic_write import atomic_write

    with atomic_write(Path(sys.argv[1]), several_writers=True) as file:
        file.write(b"a part")
        print("more", flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("name", ["cache.npz", "[1].npz", f"{'x' * 230}.npz"])
def test_one_of_several_writers_removes_what_killed_ones_left_and_nothing_else(name: str, tmp_path: Path) -> None:
    target = tmp_path / name
    with running(WRITE_A_SHARED_FILE_FOR_EVER, target) as killed:
        killed.kill()
        killed.wait()
    (left,) = tmp_path.iterdir()
    with running(WRITE_A_SHARED_FILE_FOR_EVER, target):
        (at_work,) = set(tmp_path.iterdir())
        assert at_work != left
        with atomic_write(target, several_writers=True) as file:
            file.write(b"content")
        assert set(tmp_path.iterdir()) == {target, at_work}


def test_a_full_disk_is_an_error_of_plain_writes_too(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with (
        pytest.raises(OSError, match="File too large") as caught,
        files_of_at_most(5_000),
        atomic_write(target) as file,
    ):
        file.write(bytes(10_000))
    assert describe(caught.value) == f"{target}: file too large"
    assert list(tmp_path.iterdir()) == []
