"""What is to be scored: files and folders, and the version before enhancement of each, if it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imse.audio import ENHANCED_SUFFIX, find_audio, is_audio
from imse.errors import ImseError


@dataclass(frozen=True)
class Item:
    """A recording to score.

    Attributes:
        name: What people read: the path in the folder that was given.
        path: The recording, enhanced if there is one before.
        before: The recording before enhancement.
    """

    name: str
    path: Path
    before: Path | None = None


def find_items(
    inputs: Sequence[Path], before: Path | None, on_error: Callable[[OSError], None] | None = None
) -> tuple[Item, ...]:
    """List what is to be scored.

    Of `a.wav` and `a.enhanced.wav` in one folder, the first is the version before the second.

    Args:
        inputs: Files, and folders to search.
        before: A folder with the version before each, under the same path in it, with any extension; or the one file.
        on_error: Called with the error of a folder that cannot be read, which is then passed over.

    Raises:
        ImseError: No recordings in a folder, or none of that name in `before`.
        OSError: A folder that cannot be read, if there is no `on_error`.
    """
    if before is not None and not before.exists():
        raise ImseError(f"{before}: no such file or folder")
    found = [(path, root) for given in inputs for path, root in _files(given, on_error)]
    if before is None:
        items = [_with_original(path, root) for path, root in found]
    elif before.is_dir():
        originals = _by_name(before, on_error)
        items = [Item(_name(path, root), path, _original(path, root, originals, before)) for path, root in found]
    elif len(found) == 1:
        items = [Item(_name(*found[0]), found[0][0], before)]
    else:
        raise ImseError(f"{before}: a file, but there are {len(found)} recordings; --before takes a folder")
    unique = {item.path: item for item in items}  # a.wav and a.enhanced.wav were both given: one item
    return tuple(unique.values())


def _files(given: Path, on_error: Callable[[OSError], None] | None) -> Iterator[tuple[Path, Path]]:
    """Recordings, each with the folder that its name is relative to."""
    if not given.is_dir():
        yield given, given.parent
        return
    found = find_audio(given, on_error)
    if not found:
        raise ImseError(f"{given}: no audio files in this folder")
    for path in found:
        yield path, given


def _with_original(path: Path, root: Path) -> Item:
    if path.stem.endswith(ENHANCED_SUFFIX):
        original = _other_version(path, path.stem.removesuffix(ENHANCED_SUFFIX))
        return Item(_name(path, root), path, original)
    enhanced = _other_version(path, path.stem + ENHANCED_SUFFIX)
    return Item(_name(enhanced, root), enhanced, path) if enhanced else Item(_name(path, root), path)


def _other_version(path: Path, stem: str) -> Path | None:
    """The recording of another name beside a recording: of the same format, or else of any."""
    same = path.with_name(stem + path.suffix)
    if same.is_file():
        return same
    others = (other for other in path.parent.glob("*") if other.stem == stem and is_audio(other))
    return min(others, default=None)


def _by_name(folder: Path, on_error: Callable[[OSError], None] | None) -> dict[str, Path]:
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in find_audio(folder, on_error)}


def _original(path: Path, root: Path, originals: dict[str, Path], before: Path) -> Path:
    name = path.relative_to(root).with_suffix("").as_posix()
    original = originals.get(name) or originals.get(name.removesuffix(ENHANCED_SUFFIX))
    if original is None:
        raise ImseError(f"{path}: no recording of that name in {before}")
    return original


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
