"""A real browser for tests: Chromium, driven over the WebDriver protocol (W3C) by its own chromedriver."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
_SECONDS_TO_START = 60


class Browser:
    """One window."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, page: Path) -> None:
        self._post("url", url=page.as_uri())

    def resize(self, width: int, height: int) -> None:
        self._post("window/rect", width=width, height=height)

    def run(self, script: str) -> Any:
        """What a script returns; it may wait for promises."""
        wrapped = f"const done = arguments[0]; (async () => {{ {script} }})().then(done, (e) => done(String(e)));"
        return self._post("execute/async", script=wrapped, args=[])

    def screenshot(self) -> bytes:
        """The window as PNG."""
        return b64decode(_call(f"{self._session}/screenshot"))

    def console(self) -> list[str]:
        """Messages of the console, errors among them."""
        return [entry["message"] for entry in self._post("se/log", type="browser")]

    def requests(self, page: Path) -> list[str]:
        """Addresses that a page has asked for, its own first; what it holds inside is none."""
        events = [json.loads(entry["message"])["message"] for entry in self._post("se/log", type="performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        urls = [request["request"]["url"] for request in sent if request["documentURL"] == page.as_uri()]
        return [url for url in urls if not url.startswith("data:")]

    def _post(self, command: str, **arguments: Any) -> Any:
        return _call(f"{self._session}/{command}", arguments)


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser with a new profile; skips the test where Chromium is not installed."""
    driver = shutil.which("chromedriver")
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not driver or not binary:
        pytest.skip("needs Chromium and chromedriver: apt-get install chromium chromium-driver")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    session = ""
    try:
        options = {"binary": binary, "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        logs = {"browser": "ALL", "performance": "ALL"}
        capabilities = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": logs}}
        base = f"http://127.0.0.1:{port}/session"
        session = f"{base}/{_start(base, {'capabilities': capabilities})['sessionId']}"
        yield Browser(session)
    finally:
        if session:
            _call(session, method="DELETE")
        process.terminate()
        process.wait()


def _start(url: str, arguments: dict[str, Any]) -> Any:
    """The first call, repeated until chromedriver listens."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        with suppress(URLError):
            return _call(url, arguments)
        time.sleep(0.1)
    raise TimeoutError("chromedriver does not answer")


def _call(url: str, arguments: dict[str, Any] | None = None, method: str | None = None) -> Any:
    body = None if arguments is None else json.dumps(arguments).encode()
    request = Request(url, body, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - our own driver
    with urlopen(request, timeout=120) as response:  # noqa: S310
        return json.load(response)["value"]
