"""examples/wasm: the library as WebAssembly gives in Node.js what the compiled engine gives."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import imse
from imse import native
from imse.native import Floats, NativeNetwork, NativeStream
from imse.signal.spectrum import SAMPLE_RATE
from imse.weights import find
from making import make

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "wasm"
WEB = ROOT / "src" / "imse" / "web"
WEIGHTS = find("small", ".safetensors")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(shutil.which, ("em++", "node", "make"))), reason="needs Emscripten, see .ci/run"),
    pytest.mark.skipif(not native.available(), reason="needs the compiled engine"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled, which takes half a minute of a processor."""
    return make(EXAMPLE, tmp_path_factory) / "imse.wasm"


def node(script: str, signal: Floats, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run a script that has `imse`, `weights` and `noisy`, and writes what it gives `write`."""
    module = f"""
    import {{ readFileSync, writeFileSync }} from 'node:fs'
    import {{ Imse }} from '{WEB.as_uri()}/engine.js'
    const [library, weights] = process.argv.slice(1).map((path) => readFileSync(path))
    const noisy = new Float32Array(new Uint8Array(readFileSync(0)).buffer)
    const write = (samples) => writeFileSync(1, new Uint8Array(samples.buffer))
    const imse = await Imse.load(library)
    {script}"""
    command = ["node", "--input-type=module", "-e", module, "--", *map(str, arguments)]
    return subprocess.run(command, input=signal.tobytes(), capture_output=True, check=False)


def agreement_db(found: bytes, expected: Floats) -> float:
    difference = np.frombuffer(found, "<f4").astype(np.float64) - expected
    return float(10 * np.log10(np.sum(np.square(expected, dtype=np.float64)) / np.sum(difference**2)))


def test_recordings(library: Path, recording: Floats) -> None:
    """By the program of the example; of 4.4 s, so in two segments."""
    noisy = recording[:70_000]
    command = ["node", EXAMPLE / "enhance.mjs", library, WEIGHTS]
    done = subprocess.run([*map(str, command)], input=noisy.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rb"\d+\.\d+ s per second of sound\n", done.stderr)
    assert agreement_db(done.stdout, imse.Enhancer("small", engine="native").enhance(noisy, SAMPLE_RATE)) > 90


def test_streams(library: Path, recording: Floats) -> None:
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
    done = node(script, noisy, library, WEIGHTS)
    assert done.returncode == 0, done.stderr
    stream = NativeStream(NativeNetwork(WEIGHTS.read_bytes()), rate, 150, 12)
    parts = [stream.feed(noisy[at : at + 777]) for at in range(0, len(noisy), 777)]
    both = np.concatenate([part for part in [*parts, stream.flush()] for _ in range(2)])
    assert np.frombuffer(done.stdout[:4], "<f4") == stream.latency
    assert agreement_db(done.stdout[4:], both) > 90


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("imse.open(new Uint8Array(99))", "not a safetensors file, or a damaged one"),
        ("imse.open(weights).enhance(new Float32Array([NaN]))", "NaN or infinite samples"),
        ("imse.open(weights).enhance(noisy, -1)", "the attenuation limit must be at least 0"),
        ("imse.open(weights).stream(48000, 5)", "the lowest latency is 72 ms"),
        ("imse.open(weights).stream(0, 500)", "the sample rate must be 8000 to 192000 Hz"),
    ],
)
def test_errors(script: str, message: str, library: Path, recording: Floats) -> None:
    """Exceptions of C++ become those of JavaScript, with their text, and the library goes on."""
    checked = f"""
    try {{ {script}; console.log('no error') }} catch (error) {{ console.log(error.message) }}
    imse.open(weights).close()"""
    done = node(checked, recording[:1600], library, WEIGHTS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().startswith(message)
