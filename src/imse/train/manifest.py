"""Which recordings a run trains on and which it holds out: manifests of speech and noise, and paired folders.

Everything that can be wrong with a file's name or header is found here, before anything is decoded.
"""

from __future__ import annotations

import csv
import io
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import soundfile

from imse.audio import SNDFILE_EXTENSIONS
from imse.errors import ImseError
from imse.signal.spectrum import SAMPLE_RATE
from imse.train.recipe import DataConfig, Recipe, RecipeError
from imse.train.text import read_text

COLUMNS = ("file", "kind", "source", "speaker_or_type", "seconds")
"""That every manifest has."""
SPLIT, START = "split", "start"
"""That a manifest may have: whether a recording is for `TRAIN` or `HELD_OUT`; where an excerpt of a file starts."""
TRAIN, HELD_OUT = "train", "held_out"

_LONGEST = 1e6  # seconds of a file, 11 days
_SHORT = reprlib.Repr()
_SHORT.maxstring = 80


class DataError(ImseError, ValueError):
    """Training data that cannot be used; the message names the file."""


@dataclass(frozen=True)
class Recording:
    """One file of a corpus.

    Attributes:
        path: The file.
        kind: "speech" or "noise"; in a pair, the clean file is speech and the noisy one "noisy".
        label: Speaker or noise type.
        source: The corpus that it is from.
        denoised: Whether it is used without its noise floor, see `imse.train.floor`.
        excerpt: Where it starts in the file and how long it is, in seconds; None for all of the file.
        held_out: Whether the manifest keeps it for validation.
    """

    path: Path
    kind: Literal["speech", "noise", "noisy"]
    label: str
    source: str = ""
    denoised: bool = False
    excerpt: tuple[float, float] | None = None
    held_out: bool = False


@dataclass(frozen=True)
class Split:
    """Recordings to train on and recordings held out; what a recipe names is in one of them only."""

    train: list[Recording]
    held_out: list[Recording]


def split_data(recipe: Recipe) -> Split:
    """Find the recordings of a run and hold some out; nothing is decoded yet.

    Raises:
        ImseError: The recipe names no data, or such that cannot be used; the message names the key or the file.
        OSError: A file or a folder cannot be read.
    """
    data, taught = recipe.data, recipe.teacher.sources
    paired = bool(data.clean or data.noisy)
    if paired == bool(data.manifest):
        raise RecipeError("a recipe needs either data.manifest, or data.clean and data.noisy")
    if paired and not (data.clean and data.noisy):
        raise RecipeError("pairs need both data.clean and data.noisy")
    if paired and taught:
        raise RecipeError("teacher.sources: pairs have no sources; leave it out and the teacher teaches all of them")
    split = split_pairs(data) if paired else split_manifest(data)
    unknown = sorted(set(taught) - {recording.source for recording in split.train if recording.kind == "speech"})
    if unknown:
        raise RecipeError(f"teacher.sources: no speech to train on is from '{unknown[0]}' in {data.manifest}")
    return split


def read_manifest(path: Path) -> list[Recording]:
    """The recordings of a tab-separated manifest; `COLUMNS`, `SPLIT` and `START` are its columns.

    Raises:
        DataError: A column or a file is missing, or a value is not one that its column can have.
        ImseError: Not a text file.
        OSError: The manifest cannot be read.
    """
    if not path.exists():
        raise DataError(f"{path}: no such table of recordings; --data names yours, see 'imse data manifest --help'")
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter="\t", restval="")
    try:
        absent = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if absent:
            raise DataError(f"{path}: no column '{absent[0]}' in this manifest")
        return [_recording(row, path, line) for line, row in enumerate(rows, start=2)]
    except csv.Error as error:
        raise DataError(f"{path}: not a tab-separated table: {error}") from error


def _recording(row: Mapping[str, str], path: Path, line: int) -> Recording:
    file, split = path.parent / row["file"], row.get(SPLIT, "")
    kind = cast(Literal["speech", "noise"], row["kind"])
    if kind not in ("speech", "noise"):
        raise DataError(f"{path}:{line}: kind must be 'speech' or 'noise', not {_SHORT.repr(kind)}")
    if split not in ("", TRAIN, HELD_OUT):
        raise DataError(f"{path}:{line}: split must be '{TRAIN}' or '{HELD_OUT}', not {_SHORT.repr(split)}")
    has_start = bool(row.get(START))
    excerpt = (_seconds(row[START], path, line), _seconds(row["seconds"], path, line)) if has_start else None
    if not file.is_file():
        raise DataError(f"{file}: no such file, though {path}:{line} lists it")
    return Recording(file, kind, row["speaker_or_type"], row["source"], excerpt=excerpt, held_out=split == HELD_OUT)


def _seconds(text: str, path: Path, line: int) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < _LONGEST:
        raise DataError(f"{path}:{line}: {_SHORT.repr(text)} is no number of seconds")
    return seconds


def split_manifest(config: DataConfig) -> Split:
    """Divide a manifest by what it holds out itself and by the speakers and noise types that the recipe holds out.

    Raises:
        DataError: A name held out or skipped is not in the manifest, or a part is left without speech or noise.
        OSError: The manifest cannot be read.
    """
    path = Path(config.manifest)
    listed = read_manifest(path)
    _known(config.skip_sources, {r.source for r in listed}, "data.skip_sources", path)
    kept = [
        replace(r, denoised=r.kind == "speech" and r.source in config.denoised_sources)
        for r in listed
        if r.source not in config.skip_sources
    ]
    speech = {r.source for r in kept if r.kind == "speech"}
    _known(config.denoised_sources, speech, "data.denoised_sources", path)
    _known(config.speech_shares, speech, "data.speech_shares", path)
    held = {"speech": set(config.held_out_speakers), "noise": set(config.held_out_noises)}
    for kind, key in (("speech", "held_out_speakers"), ("noise", "held_out_noises")):
        _known(held[kind], {r.label for r in kept if r.kind == kind}, f"data.{key}", path)
    split = Split([], [])
    for recording in kept:
        held_out = recording.held_out or recording.label in held[recording.kind]
        (split.held_out if held_out else split.train).append(recording)
    for name, part in (("training", split.train), ("validation", split.held_out)):
        for kind in ("speech", "noise"):
            if not any(recording.kind == kind for recording in part):
                raise DataError(f"{path}: no {kind} is left for {name}")
    return split


def _known(wanted: Iterable[str], there: set[str], key: str, path: Path) -> None:
    unknown = sorted(set(wanted) - there)
    if unknown:
        raise DataError(f"{key}: '{unknown[0]}' is not in {path}")


def split_pairs(config: DataConfig) -> Split:
    """Match clean and noisy files by their path below the folder, and hold out speakers.

    The speaker of a file is its name up to the first "_", as in VoiceBank+DEMAND. Recordings come as clean, noisy,
    clean, noisy, ...

    Raises:
        DataError: A folder or a counterpart is missing, lengths or rates differ, or nothing is left of a part.
    """
    clean, noisy = Path(config.clean), Path(config.noisy)
    names = _names(clean)
    other = _names(noisy)
    if names != other:
        lone = min(names ^ other)
        there, missing = (clean, noisy) if lone in names else (noisy, clean)
        raise DataError(f"{there / lone}: no counterpart in {missing}")
    split = Split([], [])
    for name in sorted(names):
        label = name.name.partition("_")[0]
        _check_pair(clean / name, noisy / name)
        part = split.held_out if label in config.held_out_speakers else split.train
        part += [Recording(clean / name, "speech", label), Recording(noisy / name, "noisy", label)]
    _known(config.held_out_speakers, {r.label for r in split.held_out}, "data.held_out_speakers", clean)
    if not split.train or not split.held_out:
        raise DataError(f"{clean}: nothing is left for {'validation' if split.train else 'training'}")
    return split


def _names(folder: Path) -> set[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SNDFILE_EXTENSIONS}
    if not names:
        raise DataError(f"{folder}: no audio files in this folder")
    return names


def _check_pair(clean: Path, noisy: Path) -> None:
    lengths = [_samples(path) for path in (clean, noisy)]
    if lengths[0] != lengths[1]:
        raise DataError(f"{noisy}: {lengths[1]} samples, but its clean counterpart has {lengths[0]}")


def _samples(path: Path) -> int:
    try:
        header = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path}: not readable as audio") from error
    if header.samplerate != SAMPLE_RATE:
        raise DataError(f"{path}: {header.samplerate} Hz instead of {SAMPLE_RATE}; see 'imse data'")
    return int(header.frames)
