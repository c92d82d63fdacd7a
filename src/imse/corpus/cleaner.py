"""What every worker has: one opened network, and what it does with one recording."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from imse.enhancer import Enhancer
from imse.errors import ImseError, describe

SCORED = ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "loudness_lufs")
SCORES = tuple(f"{name}_{when}" for name in SCORED for when in ("before", "after"))
"""Columns of `--score`: DNSMOS P.835, and integrated loudness in LUFS, of each recording before and after."""

Scores = dict[str, float | None]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Settings:
    """What is done with every recording. What is enhanced with other settings goes to another place.

    Attributes:
        weights: Name of weights in the package, or a file that all workers can read.
        engine: As in `Enhancer`.
        threads: Of the network in each worker; the result does not depend on it.
        attenuation_limit_db: As in `Enhancer`.
        score: Whether each recording is rated before and after.
        column: The Parquet column or the key of a manifest with the audio; None finds it.
    """

    weights: str
    engine: str
    threads: int = 1
    attenuation_limit_db: float | None = None
    score: bool = False
    column: str | None = None


@dataclass
class Report:
    """What is to be said about a unit, beside its output.

    Attributes:
        seconds: Seconds of audio enhanced.
        errors: Path and reason of each recording that could not be read, or not to its end.
        scores: Path and scores of each recording, where they are not in the output itself.
    """

    seconds: float = 0.0
    errors: list[tuple[str, str]] = field(default_factory=list)
    scores: list[tuple[str, Scores]] = field(default_factory=list)

    def to_json(self) -> str:
        """As text; `from_json` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """What `to_json` wrote."""
        stored = json.loads(text)
        pairs = {key: [(path, value) for path, value in stored[key]] for key in ("errors", "scores")}
        return cls(stored["seconds"], **pairs)


class NoRoomError(ImseError):
    """The output's storage is full: nothing more can be done, and no recording is to blame."""


class Cleaner:
    """Enhances recordings, with one network opened once.

    Args:
        settings: What is done.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        limit = settings.attenuation_limit_db
        self._enhancer = Enhancer(settings.weights, settings.engine, settings.threads, attenuation_limit_db=limit)

    def clean_file(self, source: Path, target: Path, name: str, report: Report) -> Scores:
        """Enhance a file of any length in constant memory.

        Args:
            source: The recording.
            target: What is written, whole or not at all.
            name: What to call the recording.
            report: Gets the seconds, and damage.

        Returns:
            The scores, none if none are asked for.

        Raises:
            ImseError: Not audio, or such that cannot be enhanced or written.
            OSError: It cannot be read, or the output not be written.
        """
        result = self._enhancer.enhance_file(source, target)
        report.seconds += result.seconds
        if result.damage:
            report.errors.append((name, _without(result.damage, source)))
        return self._scores(source, target) if self.settings.score else {}

    def clean_bytes(self, audio: bytes, extension: str, name: str, report: Report) -> tuple[bytes, Scores]:
        """Enhance a file in memory, as a row of a shard has one; see `clean_file`."""
        with TemporaryDirectory(prefix="imse-") as folder:
            source, target = (Path(folder) / f"{stem}{extension}" for stem in ("audio", "enhanced"))
            source.write_bytes(audio)
            scores = self.clean_file(source, target, name, report)
            return target.read_bytes(), scores

    def _scores(self, source: Path, target: Path) -> Scores:
        from imse.score.recording import measure

        scores: Scores = dict.fromkeys(SCORES)
        for when, path in (("before", source), ("after", target)):
            with suppress(ImseError):  # an empty recording has no scores
                quality = measure(path).quality
                scores |= {f"{name}_{when}": getattr(quality, name) for name in SCORED}
        return scores


@cache
def cleaner(settings: Settings) -> Cleaner:
    """The cleaner of this process, whose network is opened once."""
    return Cleaner(settings)


def attempt(action: Callable[[], None], name: str, report: Report) -> bool:
    """Do something with a recording; a failure goes to the report, and does not stop the others.

    Returns:
        Whether it went well.

    Raises:
        NoRoomError: There is no room for the output.
    """
    try:
        action()
    except (ImseError, OSError, ModuleNotFoundError) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise NoRoomError(describe(error)) from error
        report.errors.append((name, _reason(error)))
    except MemoryError:
        report.errors.append((name, "not enough memory"))
    else:
        return True
    return False


def _reason(error: Exception) -> str:
    """What went wrong, without the name of a file, which may be a temporary one."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = describe(error)
    head, colon, rest = text.partition(": ")
    return rest if colon and "/" in head else text


def _without(message: str, path: Path) -> str:
    return message.removeprefix(f"{path}: ")
