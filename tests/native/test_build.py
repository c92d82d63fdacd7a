"""How the library is compiled and packed: what the environment asks for, other systems, failures.

Most tests compile with a script that notes its calls and writes a file for each, which takes no time.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from imse.native import build
from imse.native.build import CompilationError, build_engine, build_training, find_compiler

ROOT = Path(__file__).resolve().parents[2]

COMPILER = """
import sys
from pathlib import Path
arguments = sys.argv[1:]
with Path(__file__).with_name("calls.txt").open("a") as calls:
    print(*arguments, sep="\\t", file=calls)
if "-E" in arguments:
    print(*(f"#define {name} 1" for name in MACROS), sep="\\n")
elif FAILS in arguments:
    sys.exit(f"cannot do {FAILS}")
else:
    Path(arguments[arguments.index("-o") + 1]).write_text("compiled")
"""

Calls = Callable[[], list[list[str]]]
"""The calls of a compiler: to ask what it compiles for, for each file, and one or more to link."""

FakeCompiler = Callable[..., Calls]


@pytest.fixture
def fake_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCompiler:
    """Makes $CXX a compiler for the machine that has some macros, which fails where it is given an argument."""
    for name in ("CPPFLAGS", "CXXFLAGS", "LDFLAGS", "ARCHFLAGS"):
        monkeypatch.delenv(name, raising=False)

    def make(*macros: str, fails: str = "nothing") -> Calls:
        script = tmp_path / "a compiler" / "compiler.py"
        script.parent.mkdir()
        script.write_text(f"MACROS, FAILS = {macros!r}, {fails!r}\n{COMPILER}")
        monkeypatch.setenv("CXX", shlex.join([sys.executable, "-IS", str(script), "--as-asked"]))
        return lambda: [line.split("\t") for line in script.with_name("calls.txt").read_text().splitlines()]

    return make


LINUX = ("__linux__", "__x86_64__")


def test_the_environment_chooses_compiler_and_flags(
    fake_compiler: FakeCompiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_compiler(*LINUX)
    monkeypatch.setenv("CPPFLAGS", "-DNDEBUG")
    monkeypatch.setenv("CXXFLAGS", "-O1 '-DTEXT=two words'")
    monkeypatch.setenv("LDFLAGS", "-Lsomewhere -Wl,-O1")
    build_engine(tmp_path / "libimse.so")
    probe, *compiled, linked = calls()
    assert all(call[0] == "--as-asked" for call in calls())
    assert "-E" in probe
    for call in (probe, *compiled, linked):
        assert {"-DNDEBUG", "-O1", "-DTEXT=two words"} <= set(call)
    assert all(call.index("-O3") < call.index("-O1") and "-c" in call for call in compiled)  # the last one counts
    # Flags of an instruction set are not the environment's to change.
    (avx2,) = (call for call in compiled if "-DISA=avx2" in call)
    assert avx2.index("-mavx2") > avx2.index("-O1")
    assert {"-shared", "-Lsomewhere", "-Wl,-O1"} <= set(linked)
    assert len([argument for argument in linked if argument.endswith(".o")]) == len(compiled)
    assert (tmp_path / "libimse.so").read_text() == "compiled"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("CXX", "no-such-compiler -m64", r"^CXX=no-such-compiler -m64: no program 'no-such-compiler' found$"),
        ("CXX", "g++ 'unclosed", r"^CXX=g\+\+ 'unclosed: No closing quotation$"),
        ("PATH", "", "^no C\\+\\+ compiler found$"),
    ],
)
def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(CompilationError, match=message):
        build_engine(tmp_path / "libimse.so")
    assert find_compiler() is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("macros", "kernels", "link_flags", "stack"),
    [
        (LINUX, ["baseline", "avx512", "avx2"], {"-static-libstdc++", "-static-libgcc"}, False),
        (("__linux__", "__aarch64__"), ["baseline"], {"-static-libstdc++", "-static-libgcc"}, False),
        (("__APPLE__", "__aarch64__", "__clang__"), ["baseline"], {"-Wl,-dead_strip"}, False),
        (("_WIN32", "__MINGW32__", "__x86_64__"), ["baseline", "avx512", "avx2"], {"-static"}, True),
        (("_WIN32", "__MINGW32__", "__x86_64__", "__clang__"), ["baseline", "avx512", "avx2"], {"-static"}, False),
    ],
)
def test_what_the_compiler_compiles_for_decides(
    fake_compiler: FakeCompiler,
    tmp_path: Path,
    macros: tuple[str, ...],
    kernels: list[str],
    link_flags: set[str],
    stack: bool,
) -> None:
    """And not the machine that it runs on: it may be a cross compiler."""
    calls = fake_compiler(*macros)
    build_engine(tmp_path / "library")
    _, *compiled, linked = calls()
    assert sorted(f"-DISA={name}" for name in kernels) == sorted(
        argument for call in compiled for argument in call if argument.startswith("-DISA=")
    )
    assert link_flags <= set(linked)
    assert all(("-Wa,-muse-unaligned-vector-move" in call) == stack for call in compiled)


def test_windows_needs_mingw_and_trains_without_kernels(fake_compiler: FakeCompiler, tmp_path: Path) -> None:
    fake_compiler("_WIN32", "_MSC_VER", "__x86_64__")
    with pytest.raises(CompilationError, match="on Windows, imse is compiled by MinGW"):
        build_engine(tmp_path / "imse.dll")
    shutil.rmtree(tmp_path / "a compiler")
    fake_compiler("_WIN32", "__MINGW32__", "__x86_64__")
    with pytest.raises(CompilationError, match="on Windows, training has no compiled kernels"):
        build_training(tmp_path / "training.dll", "baseline")


def test_without_static_libraries_it_links_to_shared_ones(fake_compiler: FakeCompiler, tmp_path: Path) -> None:
    calls = fake_compiler(*LINUX, fails="-static-libstdc++")
    build_engine(tmp_path / "libimse.so")
    assert "-static-libstdc++" in calls()[-2]
    assert "-static-libstdc++" not in calls()[-1]
    assert (tmp_path / "libimse.so").is_file()


def test_a_failed_build_leaves_the_library(fake_compiler: FakeCompiler, tmp_path: Path) -> None:
    library = tmp_path / "library" / "libimse.so"
    library.parent.mkdir()
    library.write_text("before")
    fake_compiler(*LINUX, fails="-shared")
    with pytest.raises(CompilationError, match="cannot do -shared"):
        build_engine(library)
    assert library.read_text() == "before"
    assert list(library.parent.iterdir()) == [library]


@pytest.mark.skipif(find_compiler() is None, reason="needs a C++ compiler")
def test_a_library_exports_nothing_but_imse(tmp_path: Path) -> None:
    source, library = tmp_path / "small.cpp", tmp_path / "library.so"
    source.write_text(
        '#define EXPORTED extern "C" __attribute__((visibility("default")))\n'
        "#include <stdexcept>\n"
        "EXPORTED int imse_answer() { try { throw std::runtime_error("
        '"no"); } catch (const std::exception&) { return 42; } }\n'
        "EXPORTED int another() { return 0; }\n"
    )
    build._Compiler(()).build([(source, ())], library)
    opened = ctypes.CDLL(str(library))
    assert opened.imse_answer() == 42
    if sys.platform == "linux":
        assert not hasattr(opened, "another")


# ---- Packages ----


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What packages are made of, without the weights, and with the library of an earlier editable installation."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    left_out = shutil.ignore_patterns("*.so", "*.dll", "*.dylib", "*.safetensors", "*.onnx", "__pycache__")
    shutil.copytree(ROOT / "src", folder / "src", ignore=left_out)
    _library_of(folder).write_text("before")
    return folder


def _library_of(checkout: Path) -> Path:
    return checkout / "src" / "imse" / "native" / build.LIBRARY.name


def _pack(checkout: Path, target: str, required: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target],
        cwd=checkout,
        env={**os.environ, "IMSE_REQUIRE_ENGINE": required},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sdist_has_sources_alone(checkout: Path) -> None:
    assert _pack(checkout, "sdist").returncode == 0
    (sdist,) = (checkout / "dist").iterdir()
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"hatch_build.py", "src/imse/native/build.py", "src/imse/native/include/imse.h"} <= names
    assert not [name for name in names if Path(name).suffix in (".so", ".dll", ".dylib")]
    assert _library_of(checkout).read_text() == "before"


def test_the_wheel_has_the_library_its_header_and_its_sources(checkout: Path, fake_compiler: FakeCompiler) -> None:
    fake_compiler(*LINUX)
    result = _pack(checkout, "wheel", required="1")
    assert result.returncode == 0, result.stderr
    (wheel,) = (checkout / "dist").iterdir()
    assert wheel.name.split("-")[2:4] == ["py3", "none"]
    assert not wheel.stem.endswith("-any")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.read(f"imse/native/{build.LIBRARY.name}") == b"compiled"
        (metadata,) = (name for name in names if name.endswith(".dist-info/WHEEL"))
        assert "Root-Is-Purelib: false" in archive.read(metadata).decode()
    sources = {file.relative_to(ROOT / "src").as_posix() for file in build.sources()}
    assert sources <= names


def test_a_wheel_without_compiler(checkout: Path, fake_compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no library, not even the one left in the checkout, which stays; and it is refused on request."""
    fake_compiler(*LINUX, fails="-c")
    result = _pack(checkout, "wheel")
    assert result.returncode == 0, result.stderr
    assert (
        "imse without its compiled engine, ONNX Runtime will do its work: cannot do -c" in result.stdout + result.stderr
    )
    (wheel,) = (checkout / "dist").iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert f"imse/native/{build.LIBRARY.name}" not in archive.namelist()
    assert _library_of(checkout).read_text() == "before"
    monkeypatch.setenv("CXX", "no-such-compiler")
    wheel.unlink()
    result = _pack(checkout, "wheel", required="1")
    assert result.returncode != 0
    assert "no program 'no-such-compiler' found" in result.stderr
    assert not list((checkout / "dist").iterdir())
