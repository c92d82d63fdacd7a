"""The site of the documents builds without a warning, and the notebook runs."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from imse.cli import app

_ROOT = Path(__file__).resolve().parents[1]
_NOTEBOOK = _ROOT / "examples" / "first_steps.ipynb"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; a page that is in no menu, and a link or a heading that is not there, are errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, env=quiet)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_the_reference_comes_from_the_docstrings(site: Path) -> None:
    page = (site / "reference.html").read_text(encoding="utf-8")
    for name in ("imse.enhance", "imse.enhancer.Enhancer.enhance_file", "imse.evaluate.evaluate"):
        assert f'id="{name}"' in page
    assert "Samples [samples] or [samples, channels]" in " ".join(re.sub(r"<[^>]+>", "", page).split())


def test_every_command_has_its_help(site: Path) -> None:
    page = (site / "commands.html").read_text(encoding="utf-8")
    for command in app.list_commands(click.Context(app)):
        assert f'id="{command}"' in page
    assert "--attenuation-limit DB" in page


def test_links_between_pages_and_to_files(site: Path) -> None:
    """Those that the hook turns: every one of them leads to something in the site."""
    pages = list(site.glob("*.html"))
    assert len(pages) > 10
    for page in pages:
        for target in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith(("data:", "mailto:", "/")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        for tag in re.findall(r"<(?:script|link|img|source)\b[^>]*>", page.read_text(encoding="utf-8")):
            assert not re.search(r'(?:src|href)="(?:https?:)?//', tag), f"{page.name}: {tag}"


def test_the_notebook_runs(tmp_path: Path) -> None:
    """Its cells, one after the other, beside the example; none of them has an output in the repository."""
    cells = json.loads(_NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    shutil.copy(_ROOT / "examples" / "dishes.flac", tmp_path)
    script = "\n".join("".join(cell["source"]) for cell in code)
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "noisy: " in result.stdout
    assert "dishes.flac: 5.3 s of audio" in result.stdout


def test_badges_say_what_the_project_says() -> None:
    """After a change in pyproject.toml: python docs/badges.py."""
    for name, drawn in runpy.run_path(str(_ROOT / "docs" / "badges.py"))["badges"]().items():
        assert (_ROOT / "docs" / "badges" / name).read_text(encoding="utf-8") == drawn
