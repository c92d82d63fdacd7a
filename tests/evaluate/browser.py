"""A real browser for tests: Chromium as the system installs it, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, Request, sync_playwright

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


@dataclass(frozen=True)
class Browser:
    """One page with a new profile.

    Attributes:
        page: Playwright's page.
        console: Messages of the console and uncaught errors, oldest first.
        requests: Addresses that the page has asked for, its own first, without what it holds inside.
    """

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def chromium(width: int = 1200, height: int = 900) -> Iterator[Browser]:
    """A browser window of a size in pixels; skips the test where Chromium is not installed."""
    binary = next(filter(None, map(shutil.which, _BINARIES)), None)
    if not binary:
        pytest.skip("needs Chromium: apt-get install chromium")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=binary, args=list(_FLAGS)) as process,
    ):
        browser = Browser(process.new_page(viewport={"width": width, "height": height}))

        def keep_request(request: Request) -> None:
            if not request.url.startswith("data:"):
                browser.requests.append(request.url)

        browser.page.on("console", lambda message: browser.console.append(message.text))
        browser.page.on("pageerror", lambda error: browser.console.append(str(error)))
        browser.page.on("request", keep_request)
        yield browser
