"""Meters on a terminal, and the keys that are pressed there."""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import suppress
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
    """The state of a session in two lines, if standard error is a terminal. A context manager.

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
    """The levels and what the difference is, in 80 columns, and below them how the machine does."""
    noisy, enhanced = float(session.noisy), float(session.enhanced)
    return (
        f"in {_bar(noisy)}  out {_bar(enhanced)}  removed {max(0.0, noisy - enhanced):2.0f} dB\n"
        f"load {session.load:4.0%}  drop-outs {session.dropouts}  "
        + ("[b] hearing the input" if session.hears_input else "[b] hear the input  [q] end")
    )


def _bar(level_db: float) -> str:
    filled = round(_BAR * min(1.0, max(0.0, 1 - level_db / _LOWEST_DB)))
    return f"{'#' * filled}{'.' * (_BAR - filled)} {level_db:4.0f} dB"


class Keys:
    """Keys that are pressed, without Enter, if standard input is a terminal. A context manager.

    A background job gets none: it would be stopped if it asked for them.
    """

    def __init__(self) -> None:
        self._has_terminal = sys.stdin is not None and sys.stdin.isatty()
        self._terminal: int = sys.stdin.fileno() if self._has_terminal else -1
        self._before: list[Any] | None = None

    def __enter__(self) -> Keys:
        return self

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32" and self._before is not None and self._is_foreground():
            import termios

            with suppress(termios.error):  # the terminal is closed
                termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def wait(self) -> str:
        """The keys pressed within a short time; none without a terminal."""
        if sys.platform == "win32":
            import msvcrt

            time.sleep(_SECONDS)
            keys = ""
            while msvcrt.kbhit():
                keys += msvcrt.getwch()
            return keys
        if not self._has_terminal or not self._is_foreground() or not self._sends_each_key():
            time.sleep(_SECONDS)
            return ""
        ready, _, _ = select.select([self._terminal], [], [], _SECONDS)
        return os.read(self._terminal, _MOST_KEYS).decode(errors="replace") if ready else ""

    def _is_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # not the terminal that controls this program
            return True

    def _sends_each_key(self) -> bool:
        """Have the terminal do so; after Ctrl-Z and `fg`, once more."""
        import termios
        import tty

        try:
            modes = termios.tcgetattr(self._terminal)
            if modes[3] & termios.ICANON:
                self._before = modes
                tty.setcbreak(self._terminal)
        except termios.error:  # the terminal is closed
            return False
        return True
