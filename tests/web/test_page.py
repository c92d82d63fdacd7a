"""The page as a visitor uses it: recordings are given to it, and what it gives back is what `imse enhance` makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import playwright.sync_api as playwright
import pytest
import soundfile
import soxr
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from playwright.sync_api import expect

from audio.material import run
from imse.cli import app
from imse.signal.spectrum import SAMPLE_RATE, Floats
from web.conftest import Site, Visit

SECONDS = 2.5


@pytest.fixture(scope="module")
def speech(recording: Floats) -> Floats:
    """A part of the noisy recording that begins and ends within speech, with sound at all frequencies."""
    part = recording[20_000 : 20_000 + round(SECONDS * SAMPLE_RATE)]
    return part + 0.003 * np.random.default_rng(0).standard_normal(len(part)).astype(np.float32)


def made(path: Path, speech: Floats, rate: int, channels: int = 1) -> Path:
    """A file of the format that its name says; channels differ."""
    signal = soxr.resample(speech, SAMPLE_RATE, rate)
    together = np.stack([np.roll(signal, rate // 7 * i) for i in range(channels)], axis=1)
    encoding = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
    soundfile.write(path, together, rate, **encoding)
    return path


def enhanced(source: Path, *options: str) -> tuple[Floats, int]:
    """What the command makes of a file: samples [samples, channels] and rate."""
    target = source.with_name(f"{source.name}.expected.wav")
    result = CliRunner().invoke(app, ["enhance", str(source), "-o", str(target), "--overwrite", *options])
    assert result.exit_code == 0, result.output
    samples, rate = soundfile.read(target, dtype="float32", always_2d=True)
    return samples, rate


def result(page: playwright.Page, source: Path) -> playwright.Locator:
    """The part of the page that is about a file."""
    return page.locator(".result").filter(has=page.get_by_role("heading", name=source.name, exact=True))


def downloaded(result: playwright.Locator, folder: Path) -> tuple[Floats, int]:
    """Samples [samples, channels] and rate."""
    with result.page.expect_download() as download:
        result.get_by_role("link", name="Download").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples, rate


def drop(page: playwright.Page, *files: Path) -> None:
    """Drag files into the window and drop them, as the system does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": list(map(str, files)), "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": step, "x": 200, "y": 200, "data": data})


def agreement_db(found: Floats, expected: Floats) -> float:
    difference = np.sum((found.astype(float) - expected) ** 2)
    return 10 * float(np.log10(np.sum(expected.astype(float) ** 2) / max(difference, 1e-20)))


def test_a_file_that_is_dropped_gives_what_the_command_gives(
    speech: Floats, site: Site, visit: Visit, tmp_path: Path
) -> None:
    source = made(tmp_path / "noisy.wav", speech, SAMPLE_RATE)
    page = visit(site.url)
    drop(page, source)
    found, rate = downloaded(result(page, source), tmp_path)
    expected, _ = enhanced(source)
    assert rate == SAMPLE_RATE
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-3

    page.get_by_label("Noise reduction").fill("9")
    found, _ = downloaded(result(page, source), tmp_path)
    expected, _ = enhanced(source, "--attenuation-limit", "9")
    assert np.abs(found - expected).max() < 1e-3


def test_files_of_many_kinds(speech: Floats, site: Site, visit: Visit, tmp_path: Path) -> None:
    """All are chosen at once, and cleaned one after the other. See docs/web.md for why they differ as they do."""
    least_db = {
        made(tmp_path / "telephone.wav", speech, 8_000): 35,
        made(tmp_path / "stereo.wav", speech, 44_100, 2): 55,
        made(tmp_path / "studio.flac", speech, 48_000): 60,
        made(tmp_path / "music.mp3", speech, 44_100, 2): 55,
        made(tmp_path / "voice.opus", speech, 48_000): 55,
    }
    page = visit(site.url)
    page.get_by_label("Network").select_option("small")
    page.get_by_label("Choose files").set_input_files(list(least_db))
    for source, least in least_db.items():
        found, rate = downloaded(result(page, source), tmp_path)
        expected, expected_rate = enhanced(source, "--weights", "small")
        assert rate == expected_rate, source.name
        assert found.shape == expected.shape, source.name
        assert agreement_db(found, expected) > least, source.name


def test_the_sound_of_a_video(speech: Floats, site: Site, visit: Visit, tmp_path: Path) -> None:
    """AAC ends with padding, which the browser leaves out and the command keeps."""
    sound = made(tmp_path / "sound.wav", speech, 48_000, 2)
    source = tmp_path / "video.mp4"
    picture = ("-f", "lavfi", "-i", "color=size=64x64:rate=5")
    run("ffmpeg", "-i", sound, *picture, "-shortest", "-c:a", "aac", "-b:a", "192k", "-c:v", "mpeg4", source)
    page = visit(site.url)
    page.get_by_label("Network").select_option("small")
    page.get_by_label("Choose files").set_input_files(source)
    found, rate = downloaded(result(page, source), tmp_path)
    expected, expected_rate = enhanced(source, "--weights", "small")
    assert rate == expected_rate
    assert found.shape[1] == 2
    assert len(found) == pytest.approx(len(expected), abs=2_048)
    both = min(len(found), len(expected))
    assert agreement_db(found[:both], expected[:both]) > 20


def test_broken_files(site: Site, visit: Visit) -> None:
    no_sound = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data\0\0\0\0"
    contents = {
        "empty.wav": (b"", "The file is empty."),
        "no-sound.wav": (no_sound, "There is no sound in this file."),
        "letter.mp3": (b"Dear Sir or Madam, " * 100, "finds no sound in it"),
        "torn.wav": (no_sound[:30], "finds no sound in it"),
    }
    page = visit(site.url)
    files: list[playwright.FilePayload] = [
        {"name": name, "mimeType": "audio/wav", "buffer": content} for name, (content, _) in contents.items()
    ]
    page.get_by_label("Choose files").set_input_files(files)
    for name, (_, message) in contents.items():
        broken = result(page, Path(name))
        expect(broken.locator(".failure")).to_contain_text(message)
        expect(broken.get_by_role("link", name="Download")).to_be_hidden()
        expect(broken.get_by_role("button", name="Try again")).to_be_visible()


def test_cancel(speech: Floats, site: Site, visit: Visit, tmp_path: Path) -> None:
    """What comes after it goes on."""
    long = made(tmp_path / "long.wav", np.tile(speech, 50), SAMPLE_RATE)
    waiting = made(tmp_path / "waiting.wav", speech, SAMPLE_RATE)
    short = made(tmp_path / "short.wav", speech[:SAMPLE_RATE], SAMPLE_RATE)
    page = visit(site.url)
    page.get_by_label("Network").select_option("small")
    page.get_by_label("Choose files").set_input_files([long, waiting, short])
    expect(result(page, long).locator(".state")).to_contain_text("left")
    for source in (waiting, long):
        result(page, source).get_by_role("button", name="Cancel").click()
        expect(result(page, source).get_by_text("Cancelled.")).to_be_visible()
        expect(result(page, source).get_by_role("link", name="Download")).to_be_hidden()
    found, _ = downloaded(result(page, short), tmp_path)
    assert len(found) == SAMPLE_RATE
    result(page, waiting).get_by_role("button", name="Try again").click()
    found, _ = downloaded(result(page, waiting), tmp_path)
    assert len(found) == len(speech)


def test_a_file_that_is_being_decoded_can_be_cancelled(
    example: Path, speech: Floats, site: Site, visit: Visit, tmp_path: Path
) -> None:
    """By the keyboard, which stays there."""
    endless = tmp_path / "endless.js"
    endless.write_text("OfflineAudioContext.prototype.decodeAudioData = () => new Promise(() => {})")
    page = visit(site.url, endless)
    page.get_by_label("Choose files").set_input_files([example, made(tmp_path / "next.wav", speech[:800], SAMPLE_RATE)])
    expect(result(page, example).locator(".state")).to_have_text("Reading")
    result(page, example).get_by_role("button", name="Cancel").press("Enter")
    expect(result(page, example).get_by_text("Cancelled.")).to_be_visible()
    expect(result(page, example).get_by_role("button", name="Try again")).to_be_focused()
    expect(result(page, tmp_path / "next.wav").get_by_role("link", name="Download")).to_be_visible()


@pytest.mark.parametrize("unplugged", [False, True])
def test_what_the_microphone_recorded_is_cleaned(unplugged: bool, site: Site, visit: Visit, tmp_path: Path) -> None:
    """Also where it was disconnected meanwhile."""
    script = tmp_path / "microphone.js"
    script.write_text(
        "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)\n"
        "navigator.mediaDevices.getUserMedia = async (options) => (window.microphone = await open(options))"
    )
    page = visit(site.url, script, permissions=["microphone"])
    page.get_by_label("Network").select_option("small")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_text("Recording …")).to_be_visible()
    page.wait_for_timeout(1000)
    if unplugged:
        page.evaluate("microphone.getTracks().forEach((track) => track.stop())")
        page.wait_for_timeout(200)
    page.get_by_role("button", name="Stop recording").click()
    found, rate = downloaded(page.locator(".result"), tmp_path)
    assert 0.5 * rate < len(found) < 10 * rate
    assert np.abs(found).max() > 0.01
    assert page.evaluate("microphone.active") is False


def test_without_a_network_after_the_first_visit(example: Path, visit: Visit, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    page = visit(site.url)
    page.evaluate("navigator.serviceWorker.ready.then(() => {})")
    site.close()
    page.goto(site.url + "index.html")
    page.get_by_label("Network").select_option("small")
    page.get_by_role("button", name="Try an example").click()
    found, _ = downloaded(result(page, example), tmp_path)
    copy = tmp_path / example.name
    copy.write_bytes(example.read_bytes())
    expected, _ = enhanced(copy, "--weights", "small")
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_accessible_on_a_phone(color_scheme: str, speech: Floats, site: Site, visit: Visit, tmp_path: Path) -> None:
    """With a result and a failure on the page. Nothing of it is wider than the window."""
    source = made(tmp_path / ("a-long-name-without-a-space-" * 4 + ".wav"), speech[:8_000], SAMPLE_RATE)
    page = visit(site.url, viewport={"width": 360, "height": 740}, color_scheme=color_scheme)
    page.get_by_label("Network").select_option("small")
    broken: playwright.FilePayload = {"name": "empty.wav", "mimeType": "audio/wav", "buffer": b""}
    page.get_by_label("Choose files").set_input_files(source)
    expect(result(page, source).get_by_role("link", name="Download")).to_be_visible()
    page.get_by_label("Choose files").set_input_files(broken)
    expect(page.get_by_text("The file is empty.").first).to_be_visible()

    assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    boxes = [element.bounding_box() for element in page.locator("button, a, select, input:not(.for-readers)").all()]
    assert max(box["x"] + box["width"] for box in boxes if box) <= 360
    violations = Axe().run(page).response["violations"]
    serious = [violation for violation in violations if violation["impact"] in ("serious", "critical")]
    assert serious == []
