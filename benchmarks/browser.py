"""Speed of the engine in Chromium beside the compiled one, what the page downloads, and how soon it has a result.

    python benchmarks/browser.py

Both engines take turns on the same signal, with one thread each. Processor time is that of the engine's process, in
Chromium that of the page's renderer. The page itself uses all cores. It is timed from where it is asked for to its
first result, and then from where the same file is chosen again. docs/performance.md gives the results.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
from playwright.sync_api import Browser, sync_playwright

from imse.bench.run import noisy_speech
from imse.bench.worker import Worker, open_enhancer
from imse.signal.spectrum import SAMPLE_RATE, Floats
from imse.web import publish
from imse.weights import find, names

CLIP_SECONDS = 10
COMPRESSED = (".css", ".html", ".js", ".svg", ".wasm", ".webmanifest")

# A worker of one network, which enhances the same signal again at every message.
_WORKER = """
import { Imse } from './engine.js'
let network, noisy
onmessage = async ({ data }) => {
  if (data) {
    network = (await Imse.load(data.library)).open(new Uint8Array(data.weights))
    noisy = data.noisy
  }
  postMessage(network.enhance(noisy))
}
"""
_OPEN = """async ([weights, noisy]) => {
  const content = async (path) => (await fetch(path)).arrayBuffer()
  window.worker = new Worker('benchmark.js', { type: 'module' })
  window.turn = (data) => new Promise((resolve, reject) => {
    window.worker.onmessage = ({ data }) => resolve(data)
    window.worker.onerror = reject
    window.worker.postMessage(data)
  })
  const library = await content('imse.wasm')
  const data = { library, weights: await content(weights), noisy: new Float32Array(noisy) }
  return Array.from(await window.turn(data))
}"""


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a static host of a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def cpu_seconds(browser: Browser) -> float:
    """Processor time of all pages so far."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return float(sum(process["cpuTime"] for process in processes if process["type"] == "renderer"))


class Chromium:
    """The engine in a worker of a page, which runs once when it is opened."""

    def __init__(self, browser: Browser, url: str, weights: str, noisy: Floats) -> None:
        self._browser = browser
        self._page = browser.new_page()
        self._page.goto(url + "benchmark.html")
        arguments = [f"weights/{weights}.safetensors", noisy.tolist()]
        self.output = np.array(self._page.evaluate(_OPEN, arguments), np.float32)

    def turn(self) -> float:
        """Processor time of one run."""
        before = cpu_seconds(self._browser)
        self._page.evaluate("() => turn().then(() => {})")
        return cpu_seconds(self._browser) - before

    def close(self) -> None:
        """Close the page."""
        self._page.close()


def spread(values: list[float], digits: int = 3) -> str:
    """Median [smallest, largest]."""
    return f"{median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def engines(browser: Browser, url: str, seconds: float, rounds: int) -> Iterator[str]:
    """For each network: processor seconds per second of audio, their ratio round by round, and how well they agree."""
    noisy = noisy_speech(seconds)
    for weights in names():
        page = Chromium(browser, url, weights, noisy)
        with Worker(1, open_enhancer, "native", find(weights, ".safetensors"), "overlap", 1, noisy) as native:
            turns = [(page.turn() / seconds, native.turn().cpu / seconds) for _ in range(rounds)]
            expected = native.found[-1].astype(float)
        page.close()
        agreement = 10 * np.log10(np.sum(expected**2) / np.sum((page.output - expected) ** 2))
        in_chromium, compiled = map(list, zip(*turns, strict=True))
        ratios = [a / b for a, b in turns]
        yield f"| {weights} | {spread(in_chromium)} | {spread(compiled)} | {spread(ratios, 2)} | {agreement:.0f} dB |"


def first_results(browser: Browser, url: str, rounds: int) -> Iterator[str]:
    """For each network, wall and processor time of the page and a clip for a new visitor, and of the clip once more."""
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name, "clip.wav")
        soundfile.write(clip, noisy_speech(CLIP_SECONDS), SAMPLE_RATE)
        for weights in names():
            columns = zip(*(_visit(browser, url, weights, clip) for _ in range(rounds)), strict=True)
            yield f"| {weights} | {' | '.join(spread(list(column), 1) for column in columns)} |"


def _visit(browser: Browser, url: str, weights: str, clip: Path) -> tuple[float, float, float, float]:
    with browser.new_context() as context:  # with an empty cache
        page = context.new_page()
        walls, cpus = [time.perf_counter()], [cpu_seconds(browser)]
        page.goto(url)
        page.get_by_label("Network").select_option(weights)
        for count in range(2):
            page.get_by_label("Choose files").set_input_files(clip)
            page.get_by_role("link", name="Download").nth(count).wait_for()
            walls.append(time.perf_counter())
            cpus.append(cpu_seconds(browser))
    return walls[1] - walls[0], cpus[1] - cpus[0], walls[2] - walls[1], cpus[2] - cpus[1]


def downloads(browser: Browser, url: str, folder: Path) -> Iterator[str]:
    """For each network, the bytes that a visitor needs until the first result, as they are and compressed by gzip."""
    for weights in names():
        files = [folder / (path or "index.html") for path in sorted(_requested(browser, url, weights))]
        contents = [(file, file.read_bytes()) for file in files]
        size = sum(len(content) for _, content in contents)
        sent = sum(len(gzip.compress(content) if file.suffix in COMPRESSED else content) for file, content in contents)
        yield f"| {weights} | {len(files)} | {size / 1e6:.2f} MB | {sent / 1e6:.2f} MB |"


def _requested(browser: Browser, url: str, weights: str) -> set[str]:
    """Paths within the page."""
    addresses: set[str] = set()
    with browser.new_context(service_workers="block") as context, tempfile.TemporaryDirectory() as name:
        context.on("request", lambda request: addresses.add(request.url))
        clip = Path(name, "clip.wav")
        soundfile.write(clip, noisy_speech(1), SAMPLE_RATE)
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Network").select_option(weights)
        page.get_by_label("Choose files").set_input_files(clip)
        page.get_by_role("link", name="Download").wait_for()
    return {address.removeprefix(url) for address in addresses if address.startswith(url)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of audio, for the engines")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    binary = shutil.which("chromium")
    if not binary:
        parser.error("needs Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        publish(folder)
        (folder / "benchmark.html").write_text("<!doctype html>")
        (folder / "benchmark.js").write_text(_WORKER)
        flags = ["--no-sandbox", "--disable-gpu"]  # Chromium's own sandbox does not start for root
        with served(folder) as url, driver.chromium.launch(executable_path=binary, args=flags) as browser:
            print(f"Chromium {browser.version}\n\n| weights | files | download | compressed |\n|---|---|---|---|")
            for row in downloads(browser, url, folder):
                print(row, flush=True)
            print("\n| weights | Chromium | native | ratio | agreement |\n|---|---|---|---|---|")
            for row in engines(browser, url, arguments.seconds, arguments.rounds):
                print(row, flush=True)
            print(f"\n| weights | page and {CLIP_SECONDS} s, wall | CPU | again, wall | CPU |\n|---|---|---|---|---|")
            for row in first_results(browser, url, arguments.rounds):
                print(row, flush=True)


if __name__ == "__main__":
    main()
