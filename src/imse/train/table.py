"""Making a manifest: a table of the recordings in any folders, some of which it holds out for validation."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from imse.atomic_write import atomic_write
from imse.audio import find_audio
from imse.errors import ImseError, describe
from imse.signal.spectrum import SAMPLE_RATE
from imse.train.decode import decode
from imse.train.manifest import COLUMNS, HELD_OUT, SPLIT, START, TRAIN, DataError, Recording

Kind = Literal["speech", "noise"]

_SHARE = 0.1  # of the seconds of a kind, to hold out
_SHOWN = 5  # names in a message
_SHORTEST = 6.0  # seconds of the only recording of a kind, which is cut in two


@dataclass(frozen=True)
class Entry:
    """A row of the table: a recording and how long it is."""

    recording: Recording
    seconds: float


@dataclass(frozen=True)
class Scan:
    """What folders hold: usable recordings, and a line on each file that is not."""

    entries: list[Entry]
    problems: list[str]


def scan(
    folders: Sequence[Path],
    kind: Kind,
    pattern: str | None = None,
    threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """Decode all audio files in folders, as training will.

    Args:
        folders: Where to look; the name of each is the source of its recordings.
        kind: What is in them.
        pattern: Regular expression, whose first group (or else whole match) in a file's path below the folder, with
            "/", is the speaker or the type of noise. By default that is the first folder on this path, or for a file
            that lies in no other one, its name up to the first "_".
        threads: Files decoded at a time.
        progress: Called with the files done and those that there are.

    Raises:
        ImseError: No such folder, or not a regular expression.
    """
    try:
        expression = re.compile(pattern) if pattern is not None else None
    except re.error as error:
        raise ImseError(f"'{pattern}' is not a regular expression: {error}") from error
    problems: list[str] = []
    found: list[Recording] = []
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
        for path in find_audio(folder, lambda error: problems.append(describe(error))):
            label = _label(path.relative_to(folder), expression)
            if label is None:
                problems.append(f"{path}: '{pattern}' is not in its name below {folder}")
            else:
                found.append(Recording(path, kind, label, folder.resolve().name))
    entries: list[Entry] = []
    with ThreadPoolExecutor(threads) as pool:
        for done, (recording, result) in enumerate(zip(found, pool.map(_seconds, found), strict=True), start=1):
            if isinstance(result, str):
                problems.append(result)
            else:
                entries.append(Entry(recording, result))
            if progress:
                progress(done, len(found))
    return Scan(entries, problems)


def _label(path: Path, expression: re.Pattern[str] | None) -> str | None:
    if expression is None:
        return path.parts[0] if len(path.parts) > 1 else path.stem.partition("_")[0] or path.stem
    match = expression.search(path.as_posix())
    return match and match[1 if expression.groups else 0]


def _seconds(recording: Recording) -> float | str:
    """How long a recording is, or why it cannot be used."""
    try:
        str(recording.path).encode()
        return len(decode(recording)) / SAMPLE_RATE
    except UnicodeEncodeError:
        return f"{recording.path}: the name is not UTF-8, as the table is"
    except DataError as error:
        return str(error)


def hold_out(entries: Sequence[Entry], names: Collection[str] = ()) -> list[Entry]:
    """Choose which recordings to keep for validation.

    About a tenth of the seconds of each kind is held out: whole speakers or types of noise where there are several,
    else whole recordings, else the end of the only one. The choice depends on names and lengths alone.

    Args:
        entries: Speech and noise.
        names: Speakers or types to hold out instead of a tenth of their kind.

    Returns:
        The entries, with `Recording.held_out` set; the only recording of a kind as two excerpts.

    Raises:
        DataError: A kind has no recordings, one of less than 6 s, or only named ones; or a name is not there.
    """
    known = {entry.recording.label for entry in entries}
    if unknown := sorted(set(names) - known):
        raise DataError(f"'{unknown[0]}' is no speaker and no type of noise here; there are {_listed(known)}")
    return [
        entry
        for kind in ("speech", "noise")
        for entry in _hold_out(kind, [entry for entry in entries if entry.recording.kind == kind], names)
    ]


def _hold_out(kind: str, entries: list[Entry], names: Collection[str]) -> list[Entry]:
    labels = {entry.recording.label for entry in entries}
    if not entries:
        raise DataError(f"no {kind} that can be used was found")
    if named := labels & set(names):
        if named == labels:
            raise DataError(f"all {kind} is held out, and none is left for training")
        chosen = {str(entry.recording.path) for entry in entries if entry.recording.label in named}
    elif len(labels) > 1:
        held = _about_a_tenth((entry.recording.label, entry.seconds) for entry in entries)
        chosen = {str(entry.recording.path) for entry in entries if entry.recording.label in held}
    elif len(entries) > 1:
        chosen = _about_a_tenth((str(entry.recording.path), entry.seconds) for entry in entries)
    else:
        return _cut_in_two(entries[0])
    return [
        Entry(replace(entry.recording, held_out=str(entry.recording.path) in chosen), entry.seconds)
        for entry in entries
    ]


def _about_a_tenth(units: Iterable[tuple[str, float]]) -> set[str]:
    """Names of units that last up to a tenth of the whole, in an order that mixes them; at least the shortest one."""
    seconds: dict[str, float] = {}
    for name, length in units:
        seconds[name] = seconds.get(name, 0.0) + length
    most, total, chosen = _SHARE * sum(seconds.values()), 0.0, set()
    for name in sorted(seconds, key=lambda name: hashlib.sha256(Path(name).name.encode()).digest()):
        if total + seconds[name] <= most:
            total += seconds[name]
            chosen.add(name)
    return chosen or {min(seconds, key=lambda name: (seconds[name], name))}


def _cut_in_two(entry: Entry) -> list[Entry]:
    recording, seconds = entry.recording, entry.seconds
    if seconds < _SHORTEST:
        raise DataError(
            f"{recording.path}: {seconds:.1f} s is all {recording.kind}; at least {_SHORTEST:.0f} s are needed"
        )
    end = max(_SHARE * seconds, _SHORTEST / 3)
    parts = ((0.0, seconds - end, False), (seconds - end, end, True))
    return [Entry(replace(recording, excerpt=(start, long), held_out=held), long) for start, long, held in parts]


def write(entries: Sequence[Entry], path: Path) -> None:
    """Write a manifest. Files below its folder are named relative to it, so that both can be moved together.

    Raises:
        OSError: The file cannot be written.
        ImseError: A device or a pipe.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, delimiter="\t", lineterminator="\n")
    rows.writerow((*COLUMNS, SPLIT, START))
    folder = path.resolve().parent
    for entry in entries:
        recording = entry.recording
        file = Path(recording.path).resolve()
        name = file.relative_to(folder) if file.is_relative_to(folder) else file
        split = HELD_OUT if recording.held_out else TRAIN
        start = f"{recording.excerpt[0]:.3f}" if recording.excerpt else ""
        rows.writerow(
            (name.as_posix(), recording.kind, recording.source, recording.label, f"{entry.seconds:.3f}", split, start)
        )
    with atomic_write(path) as file_out:
        file_out.write(text.getvalue().encode())


def summary(entries: Sequence[Entry]) -> str:
    """One line: how much there is of each kind, and what is held out."""
    parts = []
    for kind, called in (("speech", "speakers"), ("noise", "types")):
        of_kind = [entry for entry in entries if entry.recording.kind == kind]
        held = [entry for entry in of_kind if entry.recording.held_out]
        minutes, held_minutes = (sum(entry.seconds for entry in part) / 60 for part in (of_kind, held))
        labels, held_labels = ({entry.recording.label for entry in part} for part in (of_kind, held))
        parts.append(
            f"{minutes:.1f} minutes of {kind} ({called}: {len(labels):,}), "
            f"held out {held_minutes:.1f} ({_listed(held_labels)})"
        )
    return "; ".join(parts)


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown
