"""Which files are audio, by their names."""

from __future__ import annotations

from pathlib import Path

from imse.audio.partial import is_partial

STDIO = Path("-")
"""Standard input or output, as a path."""

SNDFILE_EXTENSIONS = frozenset(
    {
        ".wav", ".wave", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3",
        ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd", ".sph", ".nist",
    }
)  # fmt: skip
AV_EXTENSIONS = frozenset(
    {".m4a", ".m4b", ".aac", ".mp4", ".m4v", ".mov", ".mkv", ".mka", ".webm", ".avi", ".wma", ".3gp", ".amr"}
)


def is_audio(path: Path) -> bool:
    """Whether a file's name says that it holds sound (a video does too)."""
    return path.suffix.lower() in SNDFILE_EXTENSIONS | AV_EXTENSIONS


def find_audio(folder: Path) -> list[Path]:
    """The audio files anywhere under a folder, sorted; hidden files and folders are passed over."""
    return sorted(
        path
        for path in folder.rglob("*")
        if is_audio(path)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not is_partial(path)
        and path.is_file()
    )
