"""What there is to do: the units of an input, and the settings that an output was made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from imse.audio import find_audio, is_audio
from imse.corpus import manifest, parquet, tar
from imse.corpus.storage import Found, is_local, joined, list_files, read_bytes, write_bytes
from imse.corpus.work import FILES, MANIFEST, PARQUET, TAR, Job
from imse.errors import ImseError, describe, printable
from imse.weights import find, names

FORMS = (FILES, MANIFEST, PARQUET, TAR)

_SETTINGS = ".imse/settings.json"
_SHARDS = {PARQUET: parquet.EXTENSIONS, TAR: tar.EXTENSIONS, MANIFEST: manifest.EXTENSIONS}


@dataclass(frozen=True)
class Plan:
    """The units of an input, the longest first, so that no worker has one left when all others are done.

    Attributes:
        form: One of `FORMS`.
        root: Address of the folder, or of the manifest, by which outputs are named.
        units: What there is.
        manifest: The manifest, if that is the form.
        errors: Path and reason of folders that cannot be read, and of files whose names no table can hold.
    """

    form: str
    root: str
    units: list[Found]
    manifest: manifest.Manifest | None = None
    errors: list[tuple[str, str]] = field(default_factory=list)


def plan(source: str, output: str, form: str | None = None, column: str | None = None) -> Plan:
    """List the units of an input.

    Args:
        source: Address of a folder, a file, or a glob.
        output: Address of the output's folder; what lies in it is no input.
        form: One of `FORMS`; None for the one that the names of the files say.
        column: The key of a manifest with the path.

    Raises:
        ImseError: Nothing to do, several forms, or a manifest that cannot be read.
        OSError: The storage cannot be reached.
    """
    errors: list[tuple[str, str]] = []
    listed = _listed(source, errors)
    files = [file for file in listed if not file.address.startswith(output + "/")]
    if listed and not files:
        raise ImseError(f"{output}: the input lies in it; OUT is another folder")
    by_form: dict[str, list[Found]] = {}
    for file in files:
        if kind := _form_of(file.inside, single=len(files) == 1):
            by_form.setdefault(kind, []).append(file)
    if form is None and len(by_form) != 1:
        raise ImseError(
            f"{source}: {'several forms of corpora: --form names one of' if by_form else 'none of'} "
            f"{', '.join(by_form or FORMS)}"
        )
    form = form or next(iter(by_form))
    units = by_form.get(form, [])
    if not units:
        raise ImseError(f"{source}: nothing of the form '{form}'")
    first = units[0]
    if form == MANIFEST:
        if len(units) > 1:
            raise ImseError(f"{source}: several manifests; one at a time")
        rows = manifest.Manifest(first.address, column)
        units = _with_utf8_names(rows.units.values(), errors)
        return Plan(form, first.address, _longest_first(units), rows, errors)
    root = first.address.removesuffix(first.inside).rstrip("/")
    return Plan(form, root, _longest_first(units), errors=errors)


def checked_settings(job: Job, planned: Plan, there: Collection[str]) -> bytes:
    """Refuse to go on in a folder whose files are of another origin.

    Args:
        job: What is to be done.
        planned: What with.
        there: Paths of the files in the output's folder.

    Returns:
        What `write_settings` is to write before anything else is.

    Raises:
        ImseError: Other settings, another input, or files that no such run has made.
        OSError: They cannot be read.
    """
    settings = job.settings
    weights = find(settings.weights, ".onnx" if settings.engine == "onnx" else ".safetensors")
    stated = {
        "form": job.form,
        "input": planned.root,
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "engine": settings.engine,
        "attenuation_limit_db": settings.attenuation_limit_db,
        "score": settings.score,
        "column": settings.column,
    }
    content = json.dumps(stated, indent=1).encode()
    if _SETTINGS not in there:
        if foreign := next((unit.inside for unit in planned.units if unit.inside in there), None):
            raise ImseError(f"{joined(job.output, foreign)}: was there before; OUT is another folder")
        return content
    before = json.loads(read_bytes(joined(job.output, _SETTINGS)))
    if changed := [key for key in stated if before.get(key) != stated[key]]:
        raise ImseError(
            f"{job.output}: was made with another {changed[0].replace('_', ' ')}; "
            "give the same options to go on, or another folder"
        )
    return content


def write_settings(output: str, settings: bytes) -> None:
    """Write down what `checked_settings` returned. Raises `OSError` if the folder cannot be written to."""
    write_bytes(joined(output, _SETTINGS), settings)


def weights_for_workers(weights: str) -> str:
    """Weights by a name or a path that means the same in every process."""
    return weights if weights in names() else str(Path(weights).absolute())


def _listed(source: str, errors: list[tuple[str, str]]) -> list[Found]:
    files = list_files(source)
    if is_local(source) and Path(source).is_dir():
        # Links to folders are followed as by `imse enhance`.
        found = find_audio(Path(source), lambda error: errors.append((str(error.filename), describe(error))))
        known = {file.address for file in files}
        files += [Found(str(path), path.relative_to(source).as_posix()) for path in found if str(path) not in known]
    return _with_utf8_names(files, errors)


def _longest_first(units: Iterable[Found]) -> list[Found]:
    return sorted(units, key=lambda unit: (-unit.size, unit.inside))


def _with_utf8_names(files: Iterable[Found], errors: list[tuple[str, str]]) -> list[Found]:
    found = list(files)
    errors += [(printable(file.address), "the name is not UTF-8") for file in found if not _is_utf8(file.address)]
    return [file for file in found if _is_utf8(file.address)]


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _form_of(name: str, single: bool) -> str | None:
    """The form of a file; of a manifest only where it is the one that was named: corpora have JSON of other kinds."""
    suffixes = PurePosixPath(name.lower()).suffixes
    endings = {"".join(suffixes[-count:]) for count in (1, 2)}
    for form, extensions in _SHARDS.items():
        if endings & extensions and (form != MANIFEST or single):
            return form
    return FILES if is_audio(Path(name)) else None
