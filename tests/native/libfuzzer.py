"""The library under libFuzzer with sanitizers. Needs clang; LLVM's `-fsanitize=fuzzer` is in Debian's package.

    python tests/native/libfuzzer.py weights|signal [--seconds 600] [--seed 0] [--folder runs/fuzz]

"weights" draws weights files (fuzz_weights.cpp), "signal" sizes and samples (fuzz_signal.cpp). Inputs that lead
somewhere new are kept in FOLDER for the next run, which goes on from them. One that ends the process is kept there as
crash-*, and is repeated by `FOLDER/fuzz_TARGET crash-...`; when it is mended, it becomes a test.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from imse.checkpoint import save
from imse.native.build import SOURCES, WARNINGS, engine_units
from imse.nn import IMSE, NetworkConfig

TARGETS = ("weights", "signal")

_HERE = Path(__file__).parent
_FLAGS = (
    "-std=c++17", "-O2", "-g1", "-fno-math-errno", "-pthread", f"-I{SOURCES / 'include'}", *WARNINGS, "-Werror",
    "-fsanitize=address,undefined,float-cast-overflow,fuzzer-no-link", "-fno-sanitize-recover=all",
    # What the address sanitizer finds by itself; twice, it would take three times as long.
    "-fno-sanitize=null,alignment,object-size,pointer-overflow",
)  # fmt: skip
_WEIGHTS = "weights.safetensors"
_LENGTH_BYTES = 8  # of a safetensors file, before its header
# Of a process, beside what the sanitizers take.
_MOST_MIB = 2048
_SANITIZER = "allocator_may_return_null=1:quarantine_size_mb=64"
_SLOWEST = 60  # seconds for one input


def build(folder: Path) -> None:
    """Compile the harnesses with the engine, as fuzz_TARGET in a folder, and write the weights of a small network."""
    compiler = shutil.which("clang++")
    if compiler is None:
        raise FileNotFoundError("no clang++: apt-get install clang")
    folder.mkdir(parents=True, exist_ok=True)
    save(IMSE(NetworkConfig(channels=8, blocks=1)), folder / _WEIGHTS)
    engine = engine_units()
    units = [*engine, *((_HERE / f"fuzz_{target}.cpp", ()) for target in TARGETS)]

    def compile_unit(number: int) -> str:
        source, own_flags = units[number]
        target = str(folder / f"{number}.o")
        _run([compiler, *_FLAGS, *own_flags, "-c", str(source), "-o", target])
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_unit, range(len(units))))
    for target, harness in zip(TARGETS, objects[len(engine) :], strict=True):
        link = ["-pthread", "-fsanitize=fuzzer,address,undefined", *objects[: len(engine)], harness]
        _run([compiler, *link, "-o", str(folder / f"fuzz_{target}")])


def write_seeds(target: str, weights: Path, folder: Path) -> None:
    """The inputs to start from."""
    folder.mkdir(exist_ok=True)
    if target == "signal":
        for function in range(7):  # which one is the last byte, see FuzzedDataProvider
            (folder / f"seed-{function}").write_bytes(bytes(range(64)) + bytes([function]))
        return
    content = weights.read_bytes()
    header = content[_LENGTH_BYTES:][: int.from_bytes(content[:_LENGTH_BYTES], "little")]
    names = json.loads(header)
    few = {name: names[name] for name in ("__metadata__", *sorted(names)[1:4])}
    short = json.dumps(few).encode()
    (folder / "seed-header").write_bytes(b"\0" + header)
    (folder / "seed-few").write_bytes(b"\0" + short)
    (folder / "seed-file").write_bytes(b"\1" + len(short).to_bytes(_LENGTH_BYTES, "little") + short + bytes(4_000))
    words = {*'{}[],:"', "F16", "BF16", "F64", "I64", "0", "-1", "1e9", "9223372036854775807", "null", "\\u0000"}
    words |= {"__metadata__", "imse.network", "dtype", "shape", "data_offsets", *_words(few)}
    folder.with_suffix(".dict").write_text("".join(f"{json.dumps(word)}\n" for word in sorted(words)))


def _words(header: dict[str, dict[str, object]]) -> set[str]:
    config = json.loads(str(header["__metadata__"]["imse.network"]))
    return {*header, *config, *(f'\\"{name}\\":{value}' for name, value in config.items())}


def fuzz(target: str, folder: Path, *options: str) -> int:
    """Run a harness that is compiled; libFuzzer prints what it does.

    Args:
        target: One of `TARGETS`.
        folder: That of `build`. Inputs are kept in a folder in it.
        options: Of libFuzzer, such as ``-runs=1000``.

    Returns:
        The exit code: 0 if all inputs were handled well.
    """
    corpus = folder / f"corpus_{target}"
    write_seeds(target, folder / _WEIGHTS, corpus)
    words = corpus.with_suffix(".dict")
    dictionary = [f"-dict={words}"] if words.exists() else []
    # Inputs may be long from the start: it is their first bytes that say what is done with them.
    growth = ["-len_control=0", "-max_len=300"] if target == "signal" else []
    limits = [*growth, f"-rss_limit_mb={_MOST_MIB}", f"-timeout={_SLOWEST}", f"-artifact_prefix={folder}/"]
    command = [str(folder / f"fuzz_{target}"), str(corpus), *limits, *dictionary, *options]
    environment = {**os.environ, "IMSE_FUZZ_WEIGHTS": str(folder / _WEIGHTS), "ASAN_OPTIONS": _SANITIZER}
    return subprocess.run(command, check=False, env=environment).returncode


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stdout + result.stderr)


def main() -> None:
    """Build, and fuzz one target for a while."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0, help="0: another one in every run")
    parser.add_argument("--folder", type=Path, default=Path("runs/fuzz"))
    arguments = parser.parse_args()
    build(arguments.folder)
    sys.exit(
        fuzz(arguments.target, arguments.folder, f"-max_total_time={arguments.seconds}", f"-seed={arguments.seed}")
    )


if __name__ == "__main__":
    main()
