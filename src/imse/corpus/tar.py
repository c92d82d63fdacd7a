"""Shards of WebDataset: tar files, in which the members of a sample stand together and share the name up to a dot."""

from __future__ import annotations

import copy
import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from imse.atomic_write import atomic_write
from imse.audio import is_audio
from imse.corpus.cleaner import Cleaner, Report, Scores, attempt
from imse.errors import ImseError

EXTENSIONS = frozenset({".tar", ".tgz", ".tar.gz"})

_SCORES_EXTENSION = "imse.json"
_DAMAGE = (tarfile.ReadError, EOFError, zlib.error, gzip.BadGzipFile)

_Member = tuple[tarfile.TarInfo, bytes]


def clean_shard(source: Path, target: Path, name: str, cleaner: Cleaner) -> Report:
    """Enhance every audio member of every sample; a sample with one that cannot be read is left out, and reported.

    Scores are a member more, KEY.imse.json.

    Raises:
        ImseError: Not a tar file, or one without recordings.
        OSError: It cannot be read, or the output not be written.
    """
    report = Report()
    samples = with_audio = 0
    with ExitStack() as files:
        sink: BinaryIO = files.enter_context(atomic_write(target))
        if source.suffix in {".gz", ".tgz"}:  # without a time in its header: the same samples are the same file
            compressed = gzip.GzipFile("", "wb", fileobj=sink, mtime=0)
            sink = cast(BinaryIO, files.enter_context(compressed))
        output = files.enter_context(tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT))
        for key, members in _samples(source, name, report):
            samples += 1
            with_audio += any(_is_recording(header) for header, _ in members)
            cleaned: list[_Member] = []

            def clean(key: str = key, members: list[_Member] = members, cleaned: list[_Member] = cleaned) -> None:
                for header, data in members:
                    cleaned.extend(_cleaned(header, data, key, name, cleaner, report))

            if attempt(clean, f"{name}#{key}", report):
                for header, data in cleaned:
                    output.addfile(header, io.BytesIO(data))
        if samples and not with_audio:
            raise ImseError(f"{source}: no recordings in this tar file")
    return report


def _cleaned(
    header: tarfile.TarInfo, data: bytes, key: str, shard: str, cleaner: Cleaner, report: Report
) -> Iterator[_Member]:
    if not _is_recording(header):
        yield header, data
        return
    extension = PurePosixPath(header.name).suffix.lower()
    enhanced, scores = cleaner.clean_bytes(data, extension, f"{shard}#{header.name}", report)
    yield _with_size(header, enhanced), enhanced
    if scores:
        yield _scores_member(header, key, scores)


def _is_recording(header: tarfile.TarInfo) -> bool:
    return header.isreg() and is_audio(Path(header.name))


def _scores_member(audio: tarfile.TarInfo, key: str, scores: Scores) -> _Member:
    data = json.dumps(scores).encode()
    header = _with_size(audio, data)
    header.name = f"{key}.{_SCORES_EXTENSION}"
    return header, data


def _with_size(header: tarfile.TarInfo, data: bytes) -> tarfile.TarInfo:
    changed = copy.copy(header)
    changed.size = len(data)
    # Where these are in the extended header too, they count.
    changed.pax_headers = {key: value for key, value in header.pax_headers.items() if key not in {"size", "path"}}
    return changed


def _samples(source: Path, name: str, report: Report) -> Iterator[tuple[str, list[_Member]]]:
    """Samples with their keys. Of a damaged file those before the damage; the report says so."""
    members: list[_Member] = []
    key, count = "", 0
    try:
        with tarfile.open(source) as tar:
            for header in tar:
                if members and _key(header.name) != key:
                    yield key, members
                    count += 1
                    members = []
                key = _key(header.name)
                data = tar.extractfile(header) if header.isreg() else None
                members.append((header, data.read() if data else b""))
                tar.members = []  # type: ignore[attr-defined]  # or it would remember all
    except _DAMAGE as error:
        if not count:
            raise ImseError(f"{source}: not a tar file that can be read ({error})") from error
        report.errors.append((name, f"damaged or cut short; {count} samples could be read"))
    else:
        if members:
            yield key, members


def _key(member: str) -> str:
    """What the members of a sample have in common: all up to the first dot of the last part of the name."""
    folder, slash, name = member.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"
