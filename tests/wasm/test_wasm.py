"""The engine as WebAssembly, which the page has, gives in Node.js what the compiled engine gives."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soxr

import imse
from imse import native
from imse.native import Floats, NativeNetwork, NativeStream, stream_settings
from imse.signal.spectrum import SAMPLE_RATE
from imse.weights import find

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "wasm"
WEB = ROOT / "src" / "imse" / "web"
LIBRARY = WEB / "imse.wasm"
WEIGHTS = find("small", ".safetensors")

# Another version of the compiler makes other code.
EMSCRIPTEN = "3.1.6"

needs_node = pytest.mark.skipif(
    not (shutil.which("node") and native.available()), reason="needs Node.js and the compiled engine"
)


def emscripten() -> str:
    """Its version, or nothing."""
    if not (shutil.which("em++") and shutil.which("make")):
        return ""
    said = subprocess.run(["em++", "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+\.\d+\.\d+", said)[0]  # type: ignore[index]


@pytest.mark.slow
def test_what_is_checked_in_is_what_the_sources_give(tmp_path: Path) -> None:
    """If not: make -C examples/wasm page. Compiling takes half a minute of a processor."""
    version = emscripten()
    if not version:
        pytest.skip("needs Emscripten, see .ci/run")
    command = ["make", "-j2", "-C", str(EXAMPLE), f"BUILD={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    built = (tmp_path / "imse.wasm").read_bytes()
    if version != EMSCRIPTEN:
        pytest.skip(f"imse.wasm was compiled by Emscripten {EMSCRIPTEN}, and {version} makes other code of the sources")
    assert built == LIBRARY.read_bytes()


def node(script: str, signal: Floats) -> subprocess.CompletedProcess[bytes]:
    """Run a script that has `imse`, `weights` and `noisy`, and writes what it gives `write`."""
    module = f"""
    import {{ readFileSync, writeFileSync }} from 'node:fs'
    import {{ Imse, Joiner }} from '{WEB.as_uri()}/engine.js'
    const [library, weights] = process.argv.slice(1).map((path) => readFileSync(path))
    const noisy = new Float32Array(new Uint8Array(readFileSync(0)).buffer)
    const write = (samples) => writeFileSync(1, new Uint8Array(samples.buffer))
    const imse = await Imse.load(library)
    {script}"""
    command = ["node", "--input-type=module", "-e", module, "--", str(LIBRARY), str(WEIGHTS)]
    return subprocess.run(command, input=signal.tobytes(), capture_output=True, check=False)


def agreement_db(found: bytes, expected: Floats) -> float:
    difference = np.frombuffer(found, "<f4").astype(np.float64) - expected
    return float(10 * np.log10(np.sum(np.square(expected, dtype=np.float64)) / np.sum(difference**2)))


@needs_node
def test_recordings(recording: Floats) -> None:
    """By the program of the example; of 4.4 s, so in two segments."""
    noisy = recording[:70_000]
    command = ["node", EXAMPLE / "enhance.mjs", LIBRARY, WEIGHTS]
    done = subprocess.run([*map(str, command)], input=noisy.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rb"\d+\.\d+ s per second of sound\n", done.stderr)
    assert agreement_db(done.stdout, imse.Enhancer("small", engine="native").enhance(noisy, SAMPLE_RATE)) > 90


@needs_node
def test_parts(recording: Floats) -> None:
    """Of two channels at 44.1 kHz, enhanced from the last one to the first."""
    rate, samples = 44_100, 200_000
    left = soxr.resample(recording, SAMPLE_RATE, rate)[:samples]
    channels = np.stack([left, np.roll(left, 9_000)])
    script = """
    const network = imse.open(weights)
    const [rate, samples] = [44100, noisy.length / 2]
    const channels = [noisy.subarray(0, samples), noisy.subarray(samples)]
    const parts = Array.from({ length: imse.parts(rate, samples) }, (_, i) => imse.part(rate, samples, i))
    const enhanced = parts.map(() => null)
    for (let i = parts.length - 1; i >= 0; i--) {
      const { start, stop } = parts[i]
      enhanced[i] = channels.map((x) => network.enhancePart(rate, samples, i, x.slice(start, stop), 20))
    }
    const joiner = new Joiner()
    const joined = enhanced.map((part, i) => joiner.add(part, parts[i].fade, parts[i + 1]?.fade ?? 0))
    write(new Float32Array([0, 1].flatMap((channel) => joined.flatMap((part) => [...part[channel]]))))"""
    done = node(script, channels)
    assert done.returncode == 0, done.stderr
    expected = imse.Enhancer("small", engine="native", attenuation_limit_db=20).enhance(channels.T.copy(), rate)
    assert agreement_db(done.stdout, expected.T.ravel()) > 50


@needs_node
def test_streams(recording: Floats) -> None:
    """In parts; the second signal is as if there had been no first one. Two streams share a network."""
    noisy, rate = recording[16_000:32_000], 48_000
    script = """
    const network = imse.open(weights)
    const [first, second] = [network.stream(48000, 150, 12), network.stream(48000, 150, 12)]
    second.feed(noisy)
    second.flush()
    const out = []
    for (let at = 0; at < noisy.length; at += 777) {
      for (const stream of [first, second]) out.push(...stream.feed(noisy.subarray(at, at + 777)))
    }
    for (const stream of [first, second]) out.push(...stream.flush()), stream.close()
    network.close()
    write(new Float32Array([first.latency, ...out]))"""
    done = node(script, noisy)
    assert done.returncode == 0, done.stderr
    stream = NativeStream(NativeNetwork(WEIGHTS.read_bytes()), stream_settings(150, rate, 12))
    parts = [stream.feed(noisy[at : at + 777]) for at in range(0, len(noisy), 777)]
    both = np.concatenate([part for part in [*parts, stream.flush()] for _ in range(2)])
    assert np.frombuffer(done.stdout[:4], "<f4") == stream.latency
    assert agreement_db(done.stdout[4:], both) > 90


@needs_node
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("imse.open(new Uint8Array(99))", "not a safetensors file, or a damaged one"),
        ("imse.open(weights).enhance(new Float32Array([NaN]))", "NaN or infinite samples"),
        ("imse.open(weights).enhance(noisy, -1)", "the attenuation limit must be at least 0"),
        ("imse.open(weights).stream(48000, 5)", "the lowest latency is 72 ms"),
        ("imse.part(44100, 999, 1)", "no such part"),
        ("imse.part(7000, 999, 0)", "the sample rate must be 8000 to 192000 Hz"),
        ("imse.open(weights).stream(0, 500)", "the sample rate must be 8000 to 192000 Hz"),
    ],
)
def test_errors(script: str, message: str, recording: Floats) -> None:
    """Exceptions of C++ become those of JavaScript, with their text, and the library goes on."""
    checked = f"""
    try {{ {script}; console.log('no error') }} catch (error) {{ console.log(error.message) }}
    imse.open(weights).close()"""
    done = node(checked, recording[:1600])
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().startswith(message)
