"""The page: its content, and its behaviour in a real browser."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from rich.console import Console

from browsers import chromium
from evaluate.material import RATE, noise, speech, write
from imse.evaluate import Evaluation, evaluate
from imse.evaluate.report import write_report
from imse.evaluate.report.axes import axis
from imse.evaluate.report.media import audio_uri, loudest, spectrogram_uri
from imse.evaluate.tables import tables

FILES = 12


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Twelve voices, with names that HTML has to escape. The fourth enhanced file is silent."""
    root = tmp_path_factory.mktemp("report")
    voices = {f"<b>&{k}.wav": speech(1, k) for k in range(FILES)}
    noisy = {name: voice + noise(voice, 3 * k) for k, (name, voice) in enumerate(voices.items())}
    better = {name: (noisy[name] + 2 * voice) / 3 for name, voice in voices.items()}
    best = {name: (noisy[name] + 5 * voice) / 6 for name, voice in voices.items()} | {"<b>&3.wav": np.zeros(RATE)}
    write(root / "clean", voices)
    write(root / "noisy", noisy)
    systems = [write(root / name, files) for name, files in (("better", better), ("best", best))]
    (root / "index.tsv").write_text("id\tsnr_db\n" + "".join(f"<b>&{k}\t{3 * k}\n" for k in range(FILES)))
    measures = ["pesq_wb", "stoi", "ssnr_db"]
    return evaluate(root / "clean", systems, root / "noisy", index=root / "index.tsv", measures=measures)


@pytest.fixture(scope="module")
def page(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(evaluation, path)
    return path


class Counter(HTMLParser):
    """Counts elements and keeps what they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]


def test_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = Counter()
    found.feed(text)
    # Ten worst of each of two systems, each noisy, enhanced and clean.
    assert found.count["img"] == found.count["audio"] == 2 * 10 * 3
    assert found.count["svg"] == 3 + 1
    assert all(reference.startswith("data:") for reference in found.references)
    assert not re.search(r"https?:", text)
    assert not re.search(r"<b>&\d", text)
    assert "best: STOI is missing for 1 file: file is silent" in text
    assert text.count("<small>1 missing</small>") == 3


def test_no_width_of_a_terminal_splits_a_number(evaluation: Evaluation) -> None:
    printed = {}
    for width in (200, 80, 60, 45):
        console = Console(file=io.StringIO(), width=width)
        for table in tables(evaluation):
            console.print(table)
        text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
        assert max(map(len, text.splitlines())) <= width
        printed[width] = sorted({word for word in text.split() if re.fullmatch(r"\[?[-+]?\d+\.\d+\S*", word)})
    assert len(printed[200]) > 20
    assert all(numbers == printed[200] for numbers in printed.values())


def test_gain_without_input_snr_says_what_it_needs(evaluation: Evaluation, tmp_path: Path) -> None:
    unindexed = tuple(replace(pair, snr_db=None) for pair in evaluation.pairs)
    write_report(replace(evaluation, pairs=unindexed), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Needs files with wide-band PESQ and an input SNR: an index with snr_db, or SI-SDR." in text
    assert 'class="card scatter"' not in text


def test_browser(page: Path) -> None:
    with chromium() as browser:
        browser.page.goto(page.as_uri())
        loaded = browser.page.evaluate(
            """async () => {
              const audios = [...document.querySelectorAll("audio")];
              const ready = (audio) => audio.readyState > 0 || new Promise((go) => audio.onloadedmetadata = go);
              await Promise.all(audios.map(ready));
              return {
                pictures: [...document.images].map((image) => image.complete && image.naturalWidth),
                seconds: audios.map((audio) => audio.duration),
                overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
                outside: [...document.querySelectorAll("svg :not(title)")].filter((mark) => {
                  const [inner, outer] = [mark, mark.ownerSVGElement].map((shape) => shape.getBoundingClientRect());
                  return inner.left < outer.left - 1 || inner.right > outer.right + 1
                    || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
                }).length,
              };
            }"""
        )
        assert min(loaded["pictures"]) > 100
        assert loaded["seconds"] == pytest.approx([1.0] * 60, abs=0.01)
        assert loaded["overflow"] <= 0
        assert loaded["outside"] == 0
        browser.page.set_viewport_size({"width": 420, "height": 900})
        assert browser.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        widths = "[...document.querySelectorAll('.wide')].map((table) => table.scrollWidth - table.clientWidth)"
        assert max(browser.page.evaluate(widths)) <= 0  # no column is cut off
        with Image.open(io.BytesIO(browser.page.screenshot())) as picture:
            assert picture.height > 500
            colours = picture.convert("RGB").getcolors(maxcolors=1 << 20)
        assert len(colours or []) > 50
        assert not browser.console
        assert browser.requests == [page.as_uri()]


def test_players(page: Path) -> None:
    """A click into a spectrogram plays from there; another version of the file goes on at the same moment."""
    with chromium() as browser:
        browser.page.goto(page.as_uri())
        first, second = browser.page.evaluate(
            """async () => {
              const [first, second] = document.querySelectorAll(".file .version");
              const [before, after] = [first, second].map((version) => version.querySelector("audio"));
              const playing = (audio) => new Promise((go) => audio.addEventListener("playing", go, {once: true}));
              const picture = first.querySelector(".picture");
              const box = picture.getBoundingClientRect();
              const started = playing(before);
              picture.dispatchEvent(new MouseEvent("click", {clientX: box.left + box.width / 2}));
              await started;
              const reached = before.currentTime;
              const continued = playing(after);
              after.play();
              await continued;
              return [[reached, before.paused], [after.currentTime, after.paused]];
            }"""
        )
        assert first == [pytest.approx(0.5, abs=0.2), True]
        assert second[0] >= first[0] - 0.05
        assert second[1] is False


def test_spectrogram_of_a_tone() -> None:
    time = np.arange(RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 2000 * time)
    uri = spectrogram_uri(tone, loudest(tone))
    header, _, content = uri.partition(",")
    assert header == "data:image/png;base64"
    with Image.open(io.BytesIO(b64decode(content))) as picture:
        shades = np.asarray(picture.convert("L"))
    assert shades.shape == (257, 1 + RATE // 128)
    assert shades[:, 50].argmax() == 256 - 2000 * 512 // RATE


def test_audio_is_the_signal() -> None:
    signal = speech(0.2)
    content = b64decode(audio_uri(signal).partition(",")[2])
    decoded, sample_rate = soundfile.read(io.BytesIO(content))
    assert sample_rate == RATE
    assert decoded == pytest.approx(signal, abs=2**-15)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1.05, 3.9], ["1", "2", "3", "4"]),
        ([0.71, 0.999], ["0.7", "0.8", "0.9", "1.0"]),
        ([0.76, 0.99], ["0.75", "0.80", "0.85", "0.90", "0.95", "1.00"]),
        ([-3, 12], ["−5", "0", "5", "10", "15"]),  # noqa: RUF001 - the minus sign of typography
        ([2, 2], ["1.4", "1.6", "1.8", "2.0", "2.2", "2.4", "2.6"]),
    ],
)
def test_axis(values: list[float], ticks: list[str]) -> None:
    found = axis(values, 100, 0)
    assert [found.label(tick) for tick in found.ticks] == ticks
    assert found(found.ticks[0]) == 100
    assert found(found.ticks[-1]) == 0
