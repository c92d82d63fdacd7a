"""The command line, as `imse` and as `python -m imse`."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line (see `imse.cli.main`)."""
    _open_closed_streams()
    # Nothing has been written yet, and modules in C may turn the interrupt of an import into another error.
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from imse.cli import main as run

    signal.signal(signal.SIGINT, handler)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(130)


def _open_closed_streams() -> None:
    """Occupy the numbers of standard streams that are closed (``<&-``), so that no file of ours gets one of them.

    Libraries write complaints to number 2, whatever it is. `sys.stdin` and the others stay None.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


if __name__ == "__main__":
    main()
