"""A signal on the disk, for what needs all of it before anything can be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from imse.atomic_write import NamedFile
from imse.signal.resample import Block

_FRAMES_PER_BLOCK = 65_536


@contextmanager
def spooled(blocks: Iterable[Block]) -> Iterator[Iterable[Block]]:
    """A signal [frames, channels] that can be passed over again and again, from a temporary file.

    The file is as large as the samples are in memory, and is gone when the block ends.

    Raises:
        OSError: The temporary folder is full, which the error names.
    """
    import tempfile

    with (
        tempfile.TemporaryDirectory(prefix="imse-") as folder,
        NamedFile(Path(folder) / "signal", Path(tempfile.gettempdir())) as file,
    ):
        yield _Spool(cast(BinaryIO, file), blocks)


class _Spool:
    """The signal, written once and read at every pass."""

    def __init__(self, file: BinaryIO, blocks: Iterable[Block]) -> None:
        self._file = file
        self._channels = 1
        self._type = np.dtype(np.float32)
        for block in blocks:
            self._channels, self._type = block.shape[1], block.dtype
            file.write(np.ascontiguousarray(block).data)

    def __iter__(self) -> Iterator[Block]:
        self._file.seek(0)
        size = _FRAMES_PER_BLOCK // self._channels * self._channels * self._type.itemsize
        while data := self._file.read(size):
            yield np.frombuffer(data, self._type).reshape(-1, self._channels)
