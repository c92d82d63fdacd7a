"""Files as the page decodes them: at their own rate, whole or packet by packet."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from web.conftest import Site, Visit

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg: apt-get install ffmpeg")

SAME_DB = 150  # more than 16 bits give

# Both ways of decoding, and how far they agree.
_DECODE = """async (content) => {
  const { openRecording } = await import('./decode.js')
  const file = new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], 'noisy')
  const signal = new AbortController().signal
  const describe = ({ sampleRate, channels, samples }) => [sampleRate, channels, samples]
  const whole = await openRecording(file, signal, () => {})
  const packets = await openRecording(file, signal, () => {}, 0)
  const [[x], [y]] = [await whole.read(0, whole.samples), await packets.read(0, packets.samples)]
  let [power, error] = [0, 1e-20]
  x.forEach((sample, i) => ((power += sample ** 2), (error += (sample - y[i]) ** 2)))
  return [describe(whole), describe(packets), 10 * Math.log10(power / error)]
}"""


def made(folder: Path, example: Path, suffix: str, rate: int, channels: int, options: str) -> Path:
    path = folder / f"noisy{suffix}"
    output = ["-t", "2.5", "-ar", rate, "-ac", channels, path]
    command = ["ffmpeg", "-v", "error", "-i", example, *options.split(), *output]
    subprocess.run([*map(str, command)], check=True)
    return path


def decoded(page: Any, path: Path) -> Any:
    return page.evaluate(_DECODE, base64.b64encode(path.read_bytes()).decode())


@pytest.mark.parametrize(
    ("suffix", "rate", "channels", "options"),
    [
        (".m4a", 44_100, 2, "-c:a aac"),
        (".mov", 48_000, 1, "-c:a aac"),
        (".mp4", 48_000, 1, "-f lavfi -i color=size=64x64 -c:v mpeg4 -c:a aac"),
        (".mp3", 44_100, 2, "-metadata title=tagged"),
        (".mp3", 22_050, 1, "-write_xing 0 -id3v2_version 0"),
    ],
)
def test_packets_give_what_the_whole_file_gives(
    suffix: str, rate: int, channels: int, options: str, example: Path, site: Site, visit: Visit, tmp_path: Path
) -> None:
    """But for the 16 bits that they are kept in."""
    page = visit(site.url)
    path = made(tmp_path, example, suffix, rate, channels, options)
    whole, packets, agreement_db = decoded(page, path)
    assert whole == packets
    assert whole[:2] == [rate, channels]
    assert 60 < agreement_db < SAME_DB


@pytest.mark.parametrize(
    ("suffix", "rate", "options"),
    [(".flac", 11_025, ""), (".ogg", 44_100, "-c:a libvorbis"), (".opus", 48_000, ""), (".aac", 32_000, ""),
     (".webm", 48_000, "-c:a libopus"), (".mka", 32_000, "-c:a flac"), (".wav", 8_000, "-c:a pcm_mulaw")],
)  # fmt: skip
def test_others_are_decoded_as_a_whole_at_their_own_rate(
    suffix: str, rate: int, options: str, example: Path, site: Site, visit: Visit, tmp_path: Path
) -> None:
    page = visit(site.url)
    whole, packets, agreement_db = decoded(page, made(tmp_path, example, suffix, rate, 1, options))
    assert whole == packets
    assert whole[:2] == [rate, 1]
    assert whole[2] == pytest.approx(2.5 * rate, abs=2_500)
    assert agreement_db > SAME_DB
