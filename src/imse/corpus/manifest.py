"""Manifests in JSON lines, as NeMo and Lhotse write them.

Whole recordings are enhanced, each once, and only their paths change in the manifest: offsets and durations stay true,
whatever cuts of a recording are listed.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from imse.atomic_write import atomic_write
from imse.corpus.cleaner import Scores
from imse.corpus.storage import Found, absolute, exists, fetched, is_local, joined, published
from imse.errors import ImseError

EXTENSIONS = frozenset({".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz"})
AUDIO_FOLDER = "audio"
"""Below the output's folder; the manifest lies beside it."""

_BYTES_PER_SECOND = 32_000  # about

_KEYS = ("audio_filepath", "audio_path", "audio", "path", "file", "wav")


class Manifest:
    """A manifest, read line by line as often as needed.

    Args:
        address: The file.
        column: The key with the path; None finds it.

    Raises:
        ImseError: A line that is no JSON object, or without a recording.
        OSError: The file cannot be read.
    """

    def __init__(self, address: str, column: str | None = None) -> None:
        self.name = PurePosixPath(address).name
        self._address, self._column = address, column
        self._folder = address.rpartition("/")[0]
        self._resolved: dict[str, str] = {}
        sources: dict[str, float] = {}
        for row in self.rows():
            for path in self._paths(row):
                source = self._resolve(path)
                sources[source] = max(sources.get(source, 0.0), _seconds(row))
        if not sources:
            raise ImseError(f"{address}: no lines in this manifest")
        parts = [_parts(source)[:-1] for source in sources]
        common = _common(parts)
        self.units = {
            source: Found(source, "/".join((AUDIO_FOLDER, *_parts(source)[common:])), int(_BYTES_PER_SECOND * seconds))
            for source, seconds in sources.items()
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """The lines, parsed."""
        with (
            fetched(self._address) as path,
            gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines,
        ):
            number = 0
            try:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield self._row(line, number)
            except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ImseError(f"{self._address}:{number + 1}: not text in UTF-8, or cut short ({error})") from error

    def write(self, folder: str, complete: Collection[str], scores: Mapping[str, Scores]) -> None:
        """Write the manifest of what is complete.

        Args:
            folder: The output's.
            complete: Paths below it of the files that are there.
            scores: By path below the folder.
        """
        with ExitStack() as files:
            path = files.enter_context(published(joined(folder, self.name)))
            file: BinaryIO = files.enter_context(atomic_write(path))
            if self.name.endswith(".gz"):
                file = cast(BinaryIO, files.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0)))
            for line in self._written(folder, complete, scores):
                file.write(line)

    def _written(self, folder: str, complete: Collection[str], scores: Mapping[str, Scores]) -> Iterator[bytes]:
        for row in self.rows():
            units = [self.units[self._resolve(path)] for path in self._paths(row)]
            if all(unit.inside in complete for unit in units):
                changed = self._changed(row, lambda path: self._target(path, folder))
                _add_scores(changed, scores.get(units[0].inside))
                yield _line(changed)

    def _row(self, line: str, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ImseError(f"{self._address}:{number}: not JSON: {error}") from error
        if not isinstance(row, dict) or not self._paths(row):
            raise ImseError(f"{self._address}:{number}: no path of a recording; --column names its key")
        return row

    def _paths(self, row: dict[str, Any]) -> list[str]:
        paths: list[str] = []
        self._changed(row, lambda path: paths.append(path) or path)  # type: ignore[func-returns-value]
        return paths

    def _changed(self, row: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
        """A row with other paths."""
        if self._column is None and (found := _lhotse(row, change)) is not None:
            recordings: dict[str, Any] = found
            return recordings
        keys = _KEYS if self._column is None else (self._column,)
        key = next((key for key in keys if isinstance(row.get(key), str)), None)
        return row if key is None else row | {key: change(row[key])}

    def _target(self, path: str, folder: str) -> str:
        inside = self.units[self._resolve(path)].inside
        relative = _is_relative(path) and self._resolve(path) == absolute(joined(self._folder, path))
        return inside if relative else joined(folder, inside)

    def _resolve(self, path: str) -> str:
        """A path that is relative is so to the manifest (NeMo), or else to the current folder (Lhotse)."""
        if path not in self._resolved:
            beside = joined(self._folder, path) if _is_relative(path) else path
            here = beside != path and is_local(beside) and not exists(beside) and Path(path).exists()
            self._resolved[path] = absolute(path if here else beside)
        return self._resolved[path]


def _lhotse(value: Any, change: Callable[[str], str]) -> Any:
    """A cut or a recording of Lhotse, at any depth, with other paths; None if there is none."""
    if isinstance(value, list):
        parts = [_lhotse(part, change) for part in value]
        return (
            None if all(part is None for part in parts) else [new or old for new, old in zip(parts, value, strict=True)]
        )
    if not isinstance(value, dict):
        return None
    if isinstance(sources := value.get("sources"), list) and "sampling_rate" in value:
        if unsuitable := [source.get("type") for source in sources if source.get("type") not in {"file", "url"}]:
            raise ImseError(f"recording '{value.get('id')}': its source is of type '{unsuitable[0]}', not a file")
        return value | {"sources": [source | {"source": change(source["source"])} for source in sources]}
    found = {key: part for key, old in value.items() if (part := _lhotse(old, change)) is not None}
    return value | found if found else None


def _line(row: dict[str, Any]) -> bytes:
    try:
        return f"{json.dumps(row, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:  # half of an emoji, which only an escape can write
        return f"{json.dumps(row)}\n".encode()


def _seconds(row: dict[str, Any]) -> float:
    """How long the recording of a line is at least, in NeMo's or in Lhotse's keys; 0 if the line does not say."""
    numbers = (row.get("offset"), row.get("start"), row.get("duration"))
    return sum(number for number in numbers if isinstance(number, int | float) and number > 0)


def _add_scores(row: dict[str, Any], scores: Scores | None) -> None:
    if scores is None:
        return
    if "supervisions" in row or "tracks" in row:  # Lhotse takes no other keys in a cut, but has a place for them
        row["custom"] = (row.get("custom") or {}) | scores
    elif "sources" not in row:
        row |= scores


def _is_relative(path: str) -> bool:
    return "://" not in path and not path.startswith("/")


def _parts(address: str) -> tuple[str, ...]:
    return tuple(part for part in address.replace("://", "/").split("/") if part)


def _common(paths: list[tuple[str, ...]]) -> int:
    """How many of the first parts all have in common."""
    first, last = min(paths), max(paths)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
