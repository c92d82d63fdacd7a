"""Shards in Parquet: an audio column of bytes, or of Hugging Face's struct of bytes and path; the others are kept."""

from __future__ import annotations

import io
import json
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from imse.atomic_write import atomic_write
from imse.audio.formats import AV_EXTENSIONS, SNDFILE_EXTENSIONS
from imse.corpus.cleaner import SCORES, Cleaner, Report, Scores, attempt
from imse.corpus.storage import joined, read_bytes
from imse.errors import ImseError

EXTENSIONS = frozenset({".parquet", ".pq"})

_FEATURES = b"huggingface"
_MOST_BYTES = 128 * 2**20  # of audio in memory at a time, or one row
_BY_FORMAT = {"WAVEX": ".wav", "OGG": ".ogg", "MPEG": ".mp3", "NIST": ".sph"}


def clean_shard(source: Path, target: Path, name: str, cleaner: Cleaner) -> Report:
    """Enhance the audio of every row; a row whose audio cannot be read is left out, and is in the report.

    Raises:
        ImseError: Not a Parquet file, or one without an audio column.
        OSError: It cannot be read, or the output not be written.
    """
    report = Report()
    try:
        shard = pq.ParquetFile(source, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise ImseError(f"{source}: not a Parquet file that can be read ({' '.join(str(error).split())})") from error
    with shard:
        column = audio_column(shard.schema_arrow, cleaner.settings.column)
        schema = _with_scores(shard.schema_arrow) if cleaner.settings.score else shard.schema_arrow
        compression = _compression(shard.metadata)
        with atomic_write(target) as file, pq.ParquetWriter(file, schema, compression=compression) as writer:
            row = 0
            for number in range(shard.num_row_groups):
                group = shard.metadata.row_group(number)
                rows = max(1, group.num_rows * _MOST_BYTES // max(1, group.total_byte_size))
                for batch in shard.iter_batches(rows, row_groups=[number], use_threads=False):
                    writer.write_table(_clean_batch(batch, column, schema, (name, row), cleaner, report))
                    row += len(batch)
    return report


def _compression(metadata: pq.FileMetaData) -> dict[str, str]:
    """By column, as in the first row group."""
    columns = metadata.row_group(0).to_dict()["columns"] if metadata.num_row_groups else []
    return {column["path_in_schema"]: column["compression"].replace("UNCOMPRESSED", "NONE") for column in columns}


def audio_column(schema: pa.Schema, wanted: str | None = None) -> str:
    """The name of the column with audio.

    Raises:
        ImseError: There is none, or several, and none is named; or the one that is named holds no audio.
    """
    bytes_in = [field.name for field in schema if _is_audio(field.type)]
    if wanted is not None:
        if wanted not in bytes_in:
            raise ImseError(f"no audio in a column '{wanted}': there is {', '.join(schema.names)}")
        return wanted
    features = _features(schema)
    declared = [name for name in bytes_in if features.get(name, {}).get("_type") == "Audio"]
    structs = [name for name in bytes_in if pa.types.is_struct(schema.field(name).type)]
    found = declared or structs or bytes_in
    if len(found) != 1:
        raise ImseError(f"{'no' if not found else 'several'} columns with audio; name it by --column")
    return str(found[0])


def _is_audio(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return {"bytes", "path"} <= {field.name for field in kind} and _is_audio(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What `datasets` says about the columns."""
    metadata = json.loads((schema.metadata or {}).get(_FEATURES, b"{}"))
    features: dict[str, Any] = metadata.get("info", {}).get("features") or {}
    return features


def _with_scores(schema: pa.Schema) -> pa.Schema:
    for name in SCORES:
        schema = schema.append(pa.field(name, pa.float64()))
    if features := _features(schema):
        metadata = json.loads(schema.metadata[_FEATURES])
        metadata["info"]["features"] = features | {name: {"dtype": "float64", "_type": "Value"} for name in SCORES}
        schema = schema.with_metadata({**schema.metadata, _FEATURES: json.dumps(metadata).encode()})
    return schema


def _clean_batch(
    batch: pa.RecordBatch, column: str, schema: pa.Schema, place: tuple[str, int], cleaner: Cleaner, report: Report
) -> pa.Table:
    kept: list[int] = []
    audio: list[Any] = []
    scores: list[Scores] = []
    shard, first = place
    for row, value in enumerate(batch.column(column).to_pylist()):
        path = value.get("path") if isinstance(value, dict) else None
        name = f"{shard}#{first + row}" + (f" ({path})" if path else "")

        def clean(row: int = row, value: Any = value, name: str = name) -> None:
            data, extension = _audio_of(value, shard)
            enhanced, scored = cleaner.clean_bytes(data, extension, name, report)
            kept.append(row)
            audio.append(value | {"bytes": enhanced} if isinstance(value, dict) else enhanced)
            scores.append(scored)

        if value is None or (path is None and isinstance(value, dict) and value["bytes"] is None):
            kept.append(row)  # there is no recording
            audio.append(value)
            scores.append(dict.fromkeys(SCORES))
        else:
            attempt(clean, name, report)
    table = pa.Table.from_batches([batch]).take(pa.array(kept, pa.int64()))
    position = batch.schema.get_field_index(column)
    table = table.set_column(position, batch.schema.field(column), pa.array(audio, batch.schema.field(column).type))
    if cleaner.settings.score:
        for name in SCORES:
            table = table.append_column(name, pa.array([scored[name] for scored in scores], pa.float64()))
    return table.cast(schema)


def _audio_of(value: Any, shard: str) -> tuple[bytes, str]:
    """The bytes of a row's audio, and the extension of such a file."""
    data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if data is None and path:
        data = read_bytes(path if "://" in path or path.startswith("/") else joined(shard.rpartition("/")[0], path))
    if not data:
        raise ImseError("no audio in this row")
    extension = PurePosixPath(path).suffix.lower() if path else ""
    return data, extension if extension in SNDFILE_EXTENSIONS | AV_EXTENSIONS else _extension(data)


def _extension(data: bytes) -> str:
    """Of audio without a name."""
    try:
        info = soundfile.info(io.BytesIO(data))
    except soundfile.LibsndfileError:
        return ".m4a"  # which FFmpeg reads, whatever is in it
    if info.subtype == "OPUS":
        return ".opus"
    return _BY_FORMAT.get(info.format, f".{info.format.lower()}")
