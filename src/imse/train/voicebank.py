"""Preparation of VoiceBank+DEMAND (Valentini-Botinhao et al. 2016, doi:10.7488/ds/2117) for training.

The corpus comes as four folders of 48 kHz files. Here they are checked and resampled to 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from imse.atomic_write import atomic_write
from imse.audio.callbacks import CallbackFile
from imse.signal.spectrum import SAMPLE_RATE
from imse.train.manifest import DataError

HELD_OUT = ("p226", "p287")  # one man and one woman of the 28 training speakers; recipes/voicebank_demand.toml
_SOURCE_RATES = (48_000, SAMPLE_RATE)


@dataclass(frozen=True)
class Part:
    """A part of the corpus: the folders it comes in, and how many files each has."""

    name: str
    clean: str
    noisy: str
    files: int


PARTS = (
    Part("train", "clean_trainset_28spk_wav", "noisy_trainset_28spk_wav", 11_572),
    Part("test", "clean_testset_wav", "noisy_testset_wav", 824),
)


def find(root: Path) -> dict[str, tuple[Path, Path]]:
    """Clean and noisy folder of each part.

    Raises:
        DataError: Something is missing; the message says all of it.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    found: dict[str, tuple[Path, Path]] = {}
    problems: list[str] = []
    for part in PARTS:
        folders = [_folder(root, name) for name in (part.clean, part.noisy)]
        names = [{path.name for path in folder.glob("*.wav")} if folder else set() for folder in folders]
        for folder_name, folder, there, other in zip(
            (part.clean, part.noisy), folders, names, reversed(names), strict=True
        ):
            if folder is None:
                problems.append(f"no folder {folder_name}")
            elif len(there) != part.files:
                lacking = sorted(other - there)
                example = f" (for example, no {lacking[0]})" if lacking else ""
                problems.append(f"{len(there):,} instead of {part.files:,} files in {folder_name}{example}")
            elif there - other and len(other) == part.files:
                problems.append(f"{min(there - other)} of {folder_name} has no counterpart")
        clean, noisy = folders
        if clean and noisy:
            found[part.name] = (clean, noisy)
    if problems:
        raise DataError(f"{root}: VoiceBank+DEMAND is incomplete: {'; '.join(problems)}")
    return found


def _folder(root: Path, name: str) -> Path | None:
    """The folder of that name that holds files: archives unpack into a second folder of the same name."""
    candidates = [
        root / name / name,
        root / name,
        *(path for path in root.glob(f"*/{name}") if path.parent.name != name),
    ]
    return next((path for path in candidates if any(path.glob("*.wav"))), None)


def prepare(
    root: Path, target: Path, threads: int = 2, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Write 16 kHz FLAC copies; existing copies are kept.

    Args:
        root: Where the corpus was unpacked.
        target: Folder for ``train/clean``, ``train/noisy``, ``test/clean`` and ``test/noisy``.
        threads: Files worked on at a time.
        progress: Called with the files done and those that there are.

    Returns:
        Number of pairs to train on ("train"), to validate with ("validation", of the speakers `HELD_OUT`) and to test
        with ("test").

    Raises:
        DataError: The corpus is incomplete, or a file of it is damaged.
        OSError: A file cannot be written.
    """
    tasks = [
        (source, target / part / kind / source.with_suffix(".flac").name)
        for part, folders in find(root).items()
        for kind, folder in zip(("clean", "noisy"), folders, strict=True)
        for source in sorted(folder.glob("*.wav"))
    ]
    lengths: dict[Path, int] = {}
    with ThreadPoolExecutor(threads) as pool:
        for (_, copy), length in zip(tasks, pool.map(_copy, *zip(*tasks, strict=True)), strict=True):
            lengths[copy] = length
            if progress:
                progress(len(lengths), len(tasks))
    pairs = {"train": 0, "validation": 0, "test": 0}
    for clean, length in lengths.items():
        if clean.parent.name != "clean":
            continue
        noisy = clean.parent.with_name("noisy") / clean.name
        if lengths[noisy] != length:
            raise DataError(f"{noisy}: {lengths[noisy]} samples, but its clean counterpart has {length}")
        speaker, part = clean.name.partition("_")[0], clean.parent.parent.name
        use = "validation" if part == "train" and speaker in HELD_OUT else part
        pairs[use] += 1
    return pairs


def _copy(source: Path, copy: Path) -> int:
    """Resample one file; samples of the copy."""
    if copy.exists():
        return int(soundfile.info(copy).frames)
    try:
        samples, rate = soundfile.read(source, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise DataError(f"{source}: not readable as audio") from error
    if rate not in _SOURCE_RATES or samples.ndim != 1:
        raise DataError(f"{source}: not mono at 48 kHz, as the files of this corpus are")
    if rate != SAMPLE_RATE:
        samples = np.clip(soxr.resample(samples, rate, SAMPLE_RATE), -1, 1 - 2**-15)
    with atomic_write(copy) as file:
        sink = CallbackFile(file)
        soundfile.write(sink, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        sink.raise_error()
    return len(samples)
