"""Where the compiled library is kept, and what happens when it cannot be compiled or loaded."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import MagicMock, patch

import pytest
import torch

from imse import native
from imse.errors import ImseError
from imse.native.build import CompilationError
from imse.train.kernels import cache, library
from imse.train.kernels.cache import library_path


@pytest.fixture
def empty_cache(
    kernels: Path,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Path]:
    """The library's file in a cache where there is none yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library._library.cache_clear()
    yield library_path()
    library._library.cache_clear()


@pytest.mark.usefixtures("kernels")
def test_each_machine_instruction_set_and_fingerprint_has_its_own_file() -> None:
    paths = [library_path()]
    with patch.object(platform, "machine", return_value="another"):
        paths.append(library_path())
    with patch.object(native, "instruction_set", return_value="another"):
        paths.append(library_path())
    with patch.object(cache, "fingerprint", return_value="another"):
        paths.append(library_path())
    for variable in ("CXX", "CPPFLAGS", "CXXFLAGS", "LDFLAGS"):
        with patch.dict(os.environ, {variable: "-march=another"}):
            paths.append(library_path())
    assert len(set(paths)) == len(paths)


def test_it_is_compiled_once(empty_cache: Path, kernels: Path) -> None:
    assert not library.available()
    with patch.object(library, "build_training", lambda path, _: shutil.copy(kernels, path)):
        assert library.prepare() is None
    assert library.available()
    assert empty_cache.is_file()
    with patch.object(library, "build_training", side_effect=AssertionError):
        assert library.prepare() is None


def of_another_machine(library: bytes) -> bytes:
    """With another number of the machine in the header of ELF, which is at the same place everywhere."""
    return library[:18] + b"\xff\xfe" + library[20:]


# A truncated library would end the process, if it were loaded.
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no library": lambda _: b"not a library",
    "empty": lambda _: b"",
    "truncated": lambda library: library[: len(library) // 2],
    "overwritten": lambda library: library[:5000] + bytes(5000) + library[10_000:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_library_is_compiled_again(empty_cache: Path, kernels: Path, damage: str) -> None:
    empty_cache.parent.mkdir(parents=True)
    shutil.copy(kernels, empty_cache)
    cache.record(empty_cache)
    assert library.available()
    library._library.cache_clear()
    other = empty_cache.with_name("other")  # another file: the first one is mapped into memory
    other.write_bytes(DAMAGES[damage](kernels.read_bytes()))
    other.replace(empty_cache)
    assert not library.available()
    with patch.object(library, "build_training", lambda path, _: shutil.copy(kernels, path)):
        assert library.prepare() is None
    assert library.available()


@pytest.mark.skipif(sys.platform != "linux", reason="a library as of Linux")
def test_a_library_that_cannot_be_loaded_is_compiled_again(empty_cache: Path, kernels: Path) -> None:
    empty_cache.parent.mkdir(parents=True)
    empty_cache.write_bytes(of_another_machine(kernels.read_bytes()))
    cache.record(empty_cache)
    assert not library.available()
    with patch.object(library, "build_training", lambda path, _: shutil.copy(kernels, path)):
        assert library.prepare() is None
    assert library.available()


def test_a_new_library_that_cannot_be_loaded_is_reported(empty_cache: Path) -> None:
    with patch.object(library, "build_training", lambda path, _: path.write_bytes(b"not a library")):
        reason = library.prepare()
    assert reason is not None
    assert empty_cache.name in reason
    assert len(reason.splitlines()) == 1
    assert not library.available()


def test_a_compiler_that_fails_is_quoted_in_one_line(empty_cache: Path) -> None:
    said = "In file included from training.cpp:1:\nsimd.h:3:1: error: no such type\n   3 | Vec x;\n"
    with patch.object(library, "build_training", side_effect=CompilationError(said)):
        assert library.prepare() == "simd.h:3:1: error: no such type"
    assert not empty_cache.exists()


def test_without_the_engine_there_are_no_kernels() -> None:
    library._library.cache_clear()
    with patch.object(native, "instruction_set", side_effect=ImseError("the compiled engine is not there")):
        assert library.prepare() == "the compiled engine is not there"
    library._library.cache_clear()


def test_a_cache_that_cannot_be_written_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    library._library.cache_clear()
    assert "file" in (library.prepare() or "")
    library._library.cache_clear()


def test_a_kernel_that_fails_raises() -> None:
    """All kernels return 0, or 1 where they cannot allocate memory."""
    maps, failing = torch.zeros(2, 1), MagicMock(side_effect=[0, 1])
    opened = MagicMock(**{f"imse_{native.instruction_set()}_dense": failing})
    with patch.object(library, "_library", return_value=opened), pytest.raises(MemoryError, match="dense"):
        library.run("dense", (1,), [maps], [], [maps])
    assert failing.call_count == 2
