"""Which recordings are scored, and which is the version before which."""

from __future__ import annotations

from pathlib import Path

import pytest

from imse.errors import ImseError
from imse.score.items import find_items


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nothing is read: the names are enough."""
    names = ["rec/a.wav", "rec/a.enhanced.wav", "rec/b.mp3", "rec/b.enhanced.wav", "rec/deep/c.flac", "rec/notes.txt"]
    names += ["out/a.flac", "out/deep/c.enhanced.wav", "out/b.wav", "empty/notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(*inputs: Path, before: Path | None = None) -> dict[str, str | None]:
    return {item.name: item.before.name if item.before else None for item in find_items(inputs, before)}


def test_enhanced_beside_its_original(folder: Path) -> None:
    expected = {"a.enhanced.wav": "a.wav", "b.enhanced.wav": "b.mp3", "deep/c.flac": None}
    assert found(folder / "rec") == expected
    for name in ("a.wav", "a.enhanced.wav"):
        assert found(folder / "rec" / name) == {"a.enhanced.wav": "a.wav"}


def test_before_in_another_folder(folder: Path) -> None:
    expected = {"a.flac": "a.wav", "b.wav": "b.mp3", "deep/c.enhanced.wav": "c.flac"}
    assert found(folder / "out", before=folder / "rec") == expected
    assert found(folder / "out" / "a.flac", before=folder / "rec") == {"a.flac": "a.wav"}
    assert found(folder / "out" / "b.wav", before=folder / "rec" / "a.wav") == {"b.wav": "a.wav"}


@pytest.mark.parametrize(
    ("given", "before", "message"),
    [
        ("empty", None, "{}/empty: no audio files in this folder"),
        ("rec", "out", "{}/rec/a.enhanced.wav: "),
        ("rec", "nowhere", "{}/nowhere: no such file or folder"),
        ("out", "rec/a.wav", "{}/rec/a.wav: a file, but there are 3 recordings; --before takes a folder"),
        ("out", "empty", "{}/out/a.flac: no recording of that name in {}/empty"),
    ],
)
def test_errors(folder: Path, given: str, before: str | None, message: str) -> None:
    if (given, before) == ("rec", "out"):
        (folder / "out" / "a.flac").unlink()
    with pytest.raises(ImseError) as error:
        found(folder / given, before=folder / before if before else None)
    assert str(error.value).startswith(message.format(folder, folder))
