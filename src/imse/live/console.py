"""Meters on a terminal, and the keys that are pressed there."""

from __future__ import annotations

import os
import select
import sys
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from imse.errors import printable
from imse.live.session import Session

_SECONDS = 0.1  # between two looks at the keyboard
_MOST_KEYS = 64
_LOWEST_DB, _BAR = -60.0, 20


class Meters:
    """The state of a session in one line, if standard error is a terminal. A context manager.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Meters:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self) -> None:
        """Show how things are, and print what has happened."""
        for event in self._session.events():
            self.say(event)
        if self._console.is_terminal:
            self._live.update(Text(described(self._session), no_wrap=True, overflow="crop"), refresh=True)

    def say(self, line: str) -> None:
        """Print a line, above the meters."""
        self._console.print(f"imse: {printable(line)}", markup=False, soft_wrap=True)


def described(session: Session) -> str:
    """The levels, what the difference is, and how the machine does, in one line."""
    noisy, enhanced = float(session.noisy), float(session.enhanced)
    return (
        f"in {_bar(noisy)}  out {_bar(enhanced)}  removed {max(0.0, noisy - enhanced):2.0f} dB  "
        f"load {session.load:4.0%}  drop-outs {session.dropouts}  "
        + ("[b] hearing the input" if session.hears_input else "[b] hear the input  [q] end")
    )


def _bar(level_db: float) -> str:
    filled = round(_BAR * min(1.0, max(0.0, 1 - level_db / _LOWEST_DB)))
    return f"{'#' * filled}{'.' * (_BAR - filled)} {level_db:4.0f} dB"


class Keys:
    """Keys that are pressed, without Enter, if standard input is a terminal. A context manager."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def __enter__(self) -> Keys:
        if sys.platform != "win32" and sys.stdin is not None and sys.stdin.isatty():
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def wait(self) -> str:
        """The keys pressed within a short time; none without a terminal."""
        if sys.platform == "win32":
            import msvcrt

            time.sleep(_SECONDS)
            keys = ""
            while msvcrt.kbhit():
                keys += msvcrt.getwch()
            return keys
        if self._before is None:
            time.sleep(_SECONDS)
            return ""
        ready, _, _ = select.select([sys.stdin], [], [], _SECONDS)
        return os.read(sys.stdin.fileno(), _MOST_KEYS).decode(errors="replace") if ready else ""
