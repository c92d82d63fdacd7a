"""What libraries in C print is dropped in the thread that asks for it, and nowhere else."""

from __future__ import annotations

import ctypes
import io
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import soundfile

from audio.material import read, speechlike
from imse import ImseError
from imse.audio.c_stderr import quiet_in_c

LIBC = ctypes.CDLL(None)
pytestmark = pytest.mark.skipif(not hasattr(LIBC, "gnu_get_libc_version"), reason="glibc alone can do it")


def say(text: bytes) -> None:
    LIBC.fputs.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    LIBC.fputs(text, ctypes.c_void_p.in_dll(LIBC, "stderr"))


def test_only_this_thread_is_quiet_and_only_in_the_block(capfd: pytest.CaptureFixture[str]) -> None:
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        assert inside.wait(10)
        say(b"other thread\n")
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with quiet_in_c():
        say(b"dropped\n")
        inside.set()
        assert done.wait(10)
        os.write(2, b"Python\n")
    thread.join()
    say(b"after\n")
    assert capfd.readouterr().err == "other thread\nPython\nafter\n"


def test_many_threads_leave_standard_error_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    def often() -> None:
        for _ in range(200):
            with quiet_in_c():
                say(b"dropped\n")

    threads = [threading.Thread(target=often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(b"after\n")
    assert capfd.readouterr().err == "after\n"


def mutated(mp3: bytes, number: int) -> bytes:
    """An MP3 that is cut short, has a hole, or wrong bytes in it: libmpg123 has something to say of each."""
    draw = random.Random(number)  # noqa: S311 - damage need not be secret
    data = bytearray(mp3)
    at = draw.randrange(1_000, len(data))
    if number % 3 == 0:
        return bytes(data[:at])
    if number % 3 == 1:
        data[at : at + draw.randrange(2_000)] = draw.randbytes(draw.randrange(2_000))
    for _ in range(20):
        data[draw.randrange(1_000, len(data))] = draw.randrange(256)
    return bytes(data)


def test_damaged_mp3_files_are_decoded_in_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mp3 = io.BytesIO()
    soundfile.write(mp3, speechlike(40_000, 16_000), 16_000, format="MP3")

    def decode(number: int) -> None:
        path = tmp_path / f"{number}.mp3"
        path.write_bytes(mutated(mp3.getvalue(), number))
        with suppress(ImseError):
            read(path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decode, range(24)))
    assert capfd.readouterr().err == ""
    with soundfile.SoundFile(tmp_path / "0.mp3") as file:  # without imse, there is a line about this one
        file.read()
    assert "Xing stream size" in capfd.readouterr().err
