"""What there is to do: the units of an input, and the settings that an output was made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from imse.audio import find_audio, is_audio
from imse.corpus import manifest, parquet, tar
from imse.corpus.storage import Found, absolute, exists, is_local, joined, list_files, read_bytes, write_bytes
from imse.corpus.work import FILES, MANIFEST, PARQUET, TAR, Job
from imse.errors import ImseError
from imse.weights import find, names

FORMS = (FILES, MANIFEST, PARQUET, TAR)

_SETTINGS = ".imse/settings.json"
_SHARDS = {PARQUET: parquet.EXTENSIONS, TAR: tar.EXTENSIONS, MANIFEST: manifest.EXTENSIONS}


@dataclass(frozen=True)
class Plan:
    """The units of an input, the longest first, so that no worker has one left when all others are done.

    Attributes:
        form: One of `FORMS`.
        units: What there is.
        manifest: The manifest, if that is the form.
    """

    form: str
    units: list[Found]
    manifest: manifest.Manifest | None = None


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
    files = _without(_listed(source), output)
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
    if form != MANIFEST:
        return Plan(form, sorted(units, key=lambda unit: (-unit.size, unit.inside)))
    if len(units) > 1:
        raise ImseError(f"{source}: several manifests; one at a time")
    listed = manifest.Manifest(units[0].address, column)
    return Plan(form, list(listed.units.values()), listed)


def check_settings(job: Job) -> None:
    """Refuse to go on in a folder whose files were made with other settings; write them down in a new one.

    Raises:
        ImseError: Other settings.
        OSError: They cannot be read or written.
    """
    settings, address = job.settings, joined(job.output, _SETTINGS)
    weights = find(settings.weights, ".onnx" if settings.engine == "onnx" else ".safetensors")
    stated = {
        "form": job.form,
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "engine": settings.engine,
        "attenuation_limit_db": settings.attenuation_limit_db,
        "score": settings.score,
        "column": settings.column,
    }
    if not exists(address):
        write_bytes(address, json.dumps(stated, indent=1).encode())
        return
    before = json.loads(read_bytes(address))
    if changed := [key for key in stated if before.get(key) != stated[key]]:
        raise ImseError(
            f"{job.output}: was made with another {changed[0].replace('_', ' ')}; "
            "give the same options to go on, or another folder"
        )


def weights_for_workers(weights: str) -> str:
    """Weights by a name or a path that means the same in every process."""
    return weights if weights in names() else str(Path(weights).absolute())


def _listed(source: str) -> list[Found]:
    """Of a local folder, links to folders are followed as `imse enhance` does."""
    files = list_files(source)
    if not is_local(source) or not Path(source).is_dir():
        return files
    found = find_audio(Path(source))
    known = {file.address for file in files}
    linked = [
        Found(str(path), path.relative_to(source).as_posix(), path.stat().st_size if path.exists() else 0)
        for path in found
        if str(path) not in known
    ]
    return files + linked


def _without(files: Iterable[Found], output: str) -> list[Found]:
    return [file for file in files if not absolute(file.address).startswith(output + "/")]


def _form_of(name: str, single: bool) -> str | None:
    """The form of a file; of a manifest only where it is the one that was named: corpora have JSON of other kinds."""
    suffixes = PurePosixPath(name.lower()).suffixes
    endings = {"".join(suffixes[-count:]) for count in (1, 2)}
    for form, extensions in _SHARDS.items():
        if endings & extensions and (form != MANIFEST or single):
            return form
    return FILES if is_audio(Path(name)) else None
