"""The tables at the end of a run: what could not be read, and the scores."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from imse.corpus.cleaner import SCORES, Scores
from imse.corpus.storage import joined, remove, write_bytes
from imse.corpus.work import PARQUET

_ERRORS = pa.schema([("path", pa.string()), ("reason", pa.string())])
_SCORES = pa.schema([("path", pa.string()), *((name, pa.float64()) for name in SCORES)])


def errors_address(output: str, form: str) -> str:
    """Where the table of errors is; hidden beside Parquet: readers take all Parquet in a folder for one table."""
    return joined(output, ".imse/errors.parquet" if form == PARQUET else "errors.parquet")


def write_errors(output: str, form: str, errors: Iterable[tuple[str, str]]) -> None:
    """Write path and reason of each recording that could not be read; no table if there are none."""
    rows = [{"path": _text(path), "reason": _text(reason)} for path, reason in sorted(set(errors))]
    address = errors_address(output, form)
    if rows:
        _write(address, pa.Table.from_pylist(rows, schema=_ERRORS))
    else:
        remove(address)


def _text(name: str) -> str:
    """Text that a table can hold: names in tar files need not be UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def write_scores(output: str, scores: Mapping[str, Scores]) -> None:
    """Write the scores of each recording, by its path below the output's folder."""
    rows = [{"path": path, **scores[path]} for path in sorted(scores)]
    _write(joined(output, "scores.parquet"), pa.Table.from_pylist(rows, schema=_SCORES))


def _write(address: str, table: pa.Table) -> None:
    file = io.BytesIO()
    pq.write_table(table, file)
    write_bytes(address, file.getvalue())
