"""The default weights can be made again: the commands of the model card give the file in the package, bit for bit."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import imse.weights

_ROOT = Path(__file__).resolve().parents[2]
_WEIGHTS = Path(imse.weights.__file__).parent


def _commands() -> list[list[str]]:
    """The commands in the first block of the model card, without the export."""
    card = (_WEIGHTS / "MODEL_CARD.md").read_text(encoding="utf-8")
    block = re.search(r"```text\n(imse convert .*?)```", card, re.DOTALL)
    assert block is not None
    commands = [shlex.split(line) for line in block[1].replace("\\\n", " ").splitlines()]
    assert [command[1] for command in commands] == ["convert", "average", "export"]
    return commands[:2]


@pytest.mark.slow
def test_the_default_weights_are_the_mean_of_their_parents(reference: Path, tmp_path: Path) -> None:
    (tmp_path / "recipes").symlink_to(_ROOT / "recipes")
    (tmp_path / "imse_g_best_pesq_3.399").symlink_to(reference / "imse_g_best_pesq_3.399")
    for command in _commands():
        subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "default.safetensors").read_bytes() == (_WEIGHTS / "default.safetensors").read_bytes()
