"""The C++ under AddressSanitizer and UndefinedBehaviorSanitizer, and under ThreadSanitizer."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imse import native
from imse.native.build import SOURCES, WARNINGS, engine_units, find_compiler, training_units
from imse.nn import IMSE, NetworkConfig

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_compiler() is None, reason="needs a C++ compiler")]

_DRIVER = Path(__file__).with_name("driver.cpp")
_FLAGS = (
    "-std=c++17",
    "-O1",
    "-g1",
    "-fno-math-errno",
    "-pthread",
    f"-I{SOURCES}",
    f"-I{SOURCES / 'include'}",
    *WARNINGS,
    "-Werror",
)
# What the address sanitizer finds by itself is not compiled in twice: that would take three times as long.
_ADDRESS = (
    "-fsanitize=address,undefined",
    "-fno-sanitize=null,alignment,object-size,pointer-overflow",
    "-fno-sanitize-recover=all",
)


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names and shapes of a small network's parameters."""
    state = IMSE(NetworkConfig(channels=8, blocks=1)).state_dict()
    path = tmp_path_factory.mktemp("driver") / "tensors.txt"
    path.write_text("".join(f"{name} {' '.join(map(str, tensor.shape))}\n" for name, tensor in state.items()))
    return path


def compile_driver(folder: Path, sanitizer: tuple[str, ...], instruction_sets: list[str]) -> Path:
    """The driver with the engine, and with the kernels of training for some instruction sets."""
    compiler = find_compiler()
    assert compiler is not None
    (folder / "empty.cpp").write_text("int main() {}")
    trial = [*compiler, *sanitizer, str(folder / "empty.cpp"), "-o", str(folder / "empty")]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip(f"the compiler has no {sanitizer[0]}")
    linked = tuple(f"-DWITH_{name.upper()}" for name in instruction_sets)
    training = [unit for name in instruction_sets for unit in training_units(name)]
    units = [*training, *engine_units(), (_DRIVER, linked)]  # what takes longest first

    def compile_unit(number: int) -> str:
        source, own_flags = units[number]
        target = str(folder / f"{number}.o")
        run([*compiler, *_FLAGS, *sanitizer, *own_flags, "-c", str(source), "-o", target])
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_unit, range(len(units))))
    program = folder / "driver"
    run([*compiler, "-pthread", *sanitizer, *objects, "-o", str(program)])
    return program


def run(command: list[str], **variables: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip()


def expect_no_report(driver: Path, arguments: list[str], kernels: str) -> None:
    assert run([str(driver), *arguments], IMSE_KERNELS=kernels) == kernels


def test_memory_and_undefined_behaviour(tensors: Path, tmp_path: Path) -> None:
    widest = native.instruction_set()
    with_training = sorted({"baseline", widest})  # they take longest to compile
    driver = compile_driver(tmp_path, _ADDRESS, with_training)
    order = ["baseline", "avx2", "avx512"]
    for kernels in order[: order.index(widest) + 1]:
        # What does not depend on the instruction set is run in full by one of them.
        expect_no_report(driver, ["engine", str(tensors), "1" if kernels == widest else "4"], kernels)
    for kernels in with_training:
        expect_no_report(driver, ["training"], kernels)
    expect_no_report(driver, ["pool"], widest)
    limit = "allocator_may_return_null=1:max_allocation_size_mb=1024"
    run([str(driver), "memory", str(tensors)], ASAN_OPTIONS=limit)


def test_threads(tensors: Path, tmp_path: Path) -> None:
    """With the kernels that take the shortest time: what threads share does not depend on the instruction set."""
    kernels = native.instruction_set()
    driver = compile_driver(tmp_path, ("-fsanitize=thread",), [kernels])
    for arguments in (["engine", str(tensors), "7"], ["training"], ["pool"]):
        expect_no_report(driver, arguments, kernels)
