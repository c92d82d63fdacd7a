"""`Keys` under a shell with job control."""

from __future__ import annotations

import os
import pty
import select
import shutil
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="needs bash")

PROGRAM = """
from imse.live.console import Keys
pressed = ""
with Keys() as keys:
    for _ in range(3):
        keys.wait()
    print("at work", flush=True)
    while "q" not in pressed:
        pressed = keys.wait()
print("at its end", flush=True)
"""


def until(terminal: int, text: bytes, pressed: bytes = b"") -> None:
    """Read what is shown until there is a text, and press keys every now and then."""
    shown = b""
    deadline = time.monotonic() + 20
    while text not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65_536)
        else:
            os.write(terminal, pressed)


def test_keys_of_a_job(tmp_path: Path) -> None:
    """In the background it goes on, in the foreground it hears keys, after Ctrl-Z too; the terminal is as before."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    shell, terminal = pty.fork()
    if not shell:
        environment = {**os.environ, "TERM": "dumb", "PS1": "ready "}
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)  # noqa: S606
    try:
        until(terminal, b"ready ")
        os.write(terminal, f"{sys.executable} {program} &\n".encode())
        until(terminal, b"at work")
        os.write(terminal, b"fg\n")
        until(terminal, b"program.py")
        until(terminal, b"Stopped", pressed=b"\x1a")
        os.write(terminal, b"fg\n")
        until(terminal, b"at its end", pressed=b"q")
        os.write(terminal, b"\nstty -a\n")
        until(terminal, b" icanon")
    finally:
        os.close(terminal)
        os.waitpid(shell, 0)
