"""A real browser for tests: Chromium as the system installs it, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import playwright.sync_api as playwright
import pytest

_BINARIES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",  # Chromium's own sandbox does not start for root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)


@contextmanager
def launched(*flags: str) -> Iterator[playwright.Browser]:
    """A process of Chromium, one at a time; skips the test where it is not installed."""
    binary = next(filter(None, map(shutil.which, _BINARIES)), None)
    if not binary:
        pytest.skip("needs Chromium: apt-get install chromium")
    with (
        playwright.sync_playwright() as driver,
        driver.chromium.launch(executable_path=binary, args=[*_FLAGS, *flags]) as process,
    ):
        yield process


@dataclass(frozen=True)
class Browser:
    """One page with a new profile.

    Attributes:
        page: Playwright's page.
        console: Messages of the console and uncaught errors, oldest first.
        requests: Addresses that the page has asked for, its own first, without what it holds inside.
    """

    page: playwright.Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.context.on("request", lambda request: self._keep_request(request.url))  # of workers, too

    def _keep_request(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):
            self.requests.append(url)


@contextmanager
def chromium(width: int = 1200, height: int = 900) -> Iterator[Browser]:
    """A browser window of a size in pixels."""
    with launched() as process:
        yield Browser(process.new_page(viewport={"width": width, "height": height}))
