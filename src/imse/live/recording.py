"""The recording of a session: its input and its output, two files of the same length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from imse.audio import ENHANCED_SUFFIX, AudioInfo, Writer, open_writer, output_format_for
from imse.cli.output import check_output
from imse.errors import ImseError
from imse.signal.spectrum import Floats


class Recording:
    """Two files in the making.

    Args:
        noisy: Takes the input.
        enhanced: Takes the output.

    Attributes:
        samples: How many each has.
    """

    def __init__(self, noisy: Writer, enhanced: Writer) -> None:
        self.samples = 0
        self._noisy = noisy
        self._enhanced = enhanced

    def write(self, noisy: Floats, enhanced: Floats) -> None:
        """Append samples [n, channels] to each."""
        self._noisy.write(noisy)
        self._enhanced.write(enhanced)
        self.samples += len(noisy)

    def write_all(self, pairs: Iterable[tuple[Floats, Floats]]) -> None:
        """Append blocks of both."""
        for noisy, enhanced in pairs:
            self.write(noisy, enhanced)


@contextmanager
def recorded(path: Path | None, sample_rate: int, channels: int, overwrite: bool) -> Iterator[Recording | None]:
    """Record what the block writes: input and output, as talk.wav and talk.enhanced.wav.

    Both files appear when the block ends, also by an error of what is recorded. One that cannot be written whole, as on
    a full disk, does not appear.

    Args:
        path: The file for the input; None to record nothing.
        sample_rate: In Hz.
        channels: Of both.
        overwrite: Whether files that exist are replaced.

    Raises:
        OSError: No permission, disk full, a folder that cannot be made.
        ImseError: One of the files exists, or no such file can be written.
    """
    if path is None:
        yield None
        return
    ended_by = None
    with ExitStack() as files:
        recording = Recording(*(_opened(file, sample_rate, channels, overwrite, files) for file in _both(path)))
        try:
            yield recording
        except (ImseError, OSError) as error:
            if not recording.samples:
                raise
            ended_by = error
    if ended_by is not None:
        raise ended_by


def _both(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(f"{path.stem}{ENHANCED_SUFFIX}{path.suffix}")


def _opened(path: Path, sample_rate: int, channels: int, overwrite: bool, files: ExitStack) -> Writer:
    # WAV that holds the very samples, where the name does not ask for another format.
    kind = output_format_for(path, AudioInfo(sample_rate, channels, 0, "WAV", "FLOAT"))
    check_output(path, overwrite)
    return files.enter_context(open_writer(path, kind))
