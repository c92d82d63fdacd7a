"""The page in a real browser, from a static host, with a microphone that plays a file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import playwright.sync_api as playwright
import pytest
import soundfile
import soxr

from browsers import Browser, launched
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.web import publish

Visit = Callable[..., playwright.Page]

TIMEOUT_MS = 20_000  # of what takes a second on an idle machine
playwright.expect.set_options(timeout=TIMEOUT_MS)


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        pass


class Site:
    """The page as any static host has it, in a folder of its own and under a path.

    Attributes:
        folder: A copy of the page, for tests to change.
        url: The page.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "some" / "path"
        publish(self.folder)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(root)))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/some/path/"

    def close(self) -> None:
        """From now on nothing answers there."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory, recording: Floats) -> Iterator[playwright.Browser]:
    """One browser for all tests. Its microphone repeats the noisy recording, 5.3 s, for ever."""
    microphone = tmp_path_factory.mktemp("microphone") / "noisy.wav"
    soundfile.write(microphone, soxr.resample(recording, SAMPLE_RATE, 48_000), 48_000, "PCM_16")
    flags = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}")
    with launched(*flags) as process:
        yield process


@pytest.fixture
def visit(chromium: playwright.Browser) -> Iterator[Visit]:
    """Open a page as a new visitor, with a script that runs before its own.

    At the end, nothing was asked of another origin, and nothing went wrong unseen.
    """
    visitors: list[Browser] = []

    def open_page(url: str, script: Path | None = None, **options: Any) -> playwright.Page:
        context = chromium.new_context(**options)
        context.set_default_timeout(TIMEOUT_MS)
        if script:
            context.add_init_script(path=script)
        visitors.append(Browser(context.new_page()))
        visitors[-1].page.goto(url)
        return visitors[-1].page

    yield open_page
    for visitor in visitors:
        origin = visitor.page.evaluate("origin") + "/"
        assert [url for url in visitor.requests if not url.startswith(origin)] == []
        assert visitor.console == []
        visitor.page.context.close()
