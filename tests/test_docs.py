"""The documents are correct: their examples run, and their links and paths exist.

Blocks of ```python are executed, and print what the block of ```output after them says, if there is one. Lines of
```bash that call `imse` are run, in a folder with the files that the documents name. Commands that cannot run here
(hours of training, a corpus) are in ```text; if they call `imse`, the command and its options must exist.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from imse.engine import ENGINES

_ROOT = Path(__file__).resolve().parents[1]
_DOCUMENTS = sorted([*_ROOT.glob("*.md"), *_ROOT.glob("docs/*.md"), *_ROOT.glob("src/imse/weights/*.md")])
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def _blocks(language: str) -> list[str]:
    return [
        block
        for document in _DOCUMENTS
        for _, found, block in _BLOCK.findall(document.read_text(encoding="utf-8"))
        if found == language
    ]


def _imse_lines(language: str) -> list[str]:
    lines = [line.strip() for block in _blocks(language) for line in block.replace("\\\n", " ").splitlines()]
    return sorted({line for line in lines if re.search(r"(^|[|&] *)imse ", line)})


@pytest.fixture
def workplace(tmp_path: Path, example: Path, small_weights: Path) -> Path:
    """A folder with the files that the documents name."""
    samples, sample_rate = soundfile.read(example)
    rng = np.random.default_rng(0)
    for folder in ("clean", "noisy", "enhanced", "recordings", "mine", "theirs", "speech", "noise"):
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            noise = (0 if folder == "clean" else 0.01) * rng.standard_normal(len(samples))
            soundfile.write(tmp_path / folder / f"{name}.wav", samples + noise, sample_rate)
    soundfile.write(tmp_path / "noisy.wav", samples, sample_rate)
    (tmp_path / "INDEX.tsv").write_text("id\tsnr_db\na\t5\nb\t10\n")
    shutil.copy(small_weights, tmp_path / "mine.safetensors")
    shutil.copytree(_ROOT / "examples", tmp_path / "examples")
    return tmp_path


def _programs() -> list[tuple[str, str | None]]:
    """Every block of Python, with what it prints if a block of output follows it."""
    programs = []
    for document in _DOCUMENTS:
        blocks = [(language, block) for _, language, block in _BLOCK.findall(document.read_text(encoding="utf-8"))]
        for (language, block), (after, output) in pairwise([*blocks, ("", "")]):
            if language == "python":
                programs.append((block, output if after == "output" else None))
    return programs


@pytest.mark.slow
@pytest.mark.parametrize(("block", "output"), _programs())
def test_python(block: str, output: str | None, workplace: Path) -> None:
    result = subprocess.run([sys.executable, "-c", block], cwd=workplace, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert output in {None, result.stdout}


@pytest.mark.slow
@pytest.mark.parametrize("line", _imse_lines("bash"))
def test_shell(line: str, workplace: Path) -> None:
    here = f'imse() {{ {shlex.quote(sys.executable)} -m imse "$@"; }}; set -o pipefail; {line}'
    result = subprocess.run(["bash", "-c", here], cwd=workplace, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("line", _imse_lines("text"))
def test_commands_that_are_not_run_exist(line: str) -> None:
    words = shlex.split(line[line.index("imse ") :])
    command = words[1 : 3 if words[1] == "data" else 2]
    call = [sys.executable, "-m", "imse", *command, "--help"]
    known = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert option in known


def test_every_engine_is_described() -> None:
    """Its name opens a row of the table in docs/enhancer.md, and the help of `imse enhance` says what it is."""
    document = (_ROOT / "docs" / "enhancer.md").read_text(encoding="utf-8")
    table = document.partition("| engine | ")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(ENGINES)
    call = [sys.executable, "-m", "imse", "enhance", "--help"]
    wide = {**os.environ, "COLUMNS": "200"}  # no line ends at a hyphen
    help_text = subprocess.run(call, capture_output=True, text=True, check=True, env=wide).stdout
    for name, entry in ENGINES.items():
        assert f"{name}: {entry.description}" in " ".join(help_text.split())


def test_links_lead_somewhere() -> None:
    for document in _DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document}: {target}"


def test_the_architecture_names_what_exists() -> None:
    """Every path in ARCHITECTURE.md exists, except those marked as planned, which do not exist yet."""
    text = (_ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w./-]+(?:/|\.(?:py|md|toml|cpp|h)))`( \(planned\))?", text)
    assert len(named) > 40
    for path, planned in named:
        exists = any((folder / path).exists() for folder in (_ROOT, _ROOT / "src" / "imse"))
        assert exists != bool(planned), f"{path}: {'exists, but is called planned' if exists else 'does not exist'}"


def test_ci_runs_the_second_command_of_the_readme() -> None:
    setup = [block.strip() for block in _blocks("bash") if ".venv-dev" in block]
    assert setup
    assert set(setup) == {setup[0]}
    assert setup[0] in (_ROOT / ".ci" / "run").read_text()


@pytest.mark.slow
def test_the_first_command_of_the_readme(tmp_path: Path) -> None:
    """On a fresh clone: an environment, the light package in it, and the example cleaned, without torch."""
    (command,) = (block for block in _blocks("bash") if ".venv/bin/imse" in block)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_ROOT / name, tmp_path / name)
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "real-time factor" in result.stdout
    enhanced = tmp_path / "enhanced" / "dishes.flac"
    assert str(enhanced.relative_to(tmp_path)) in result.stdout
    assert soundfile.info(enhanced).frames == soundfile.info(_ROOT / "examples" / "dishes.flac").frames
    assert not list((tmp_path / ".venv").rglob("site-packages/torch"))
