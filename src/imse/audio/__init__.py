"""Audio files in and out, block by block: any format, whole or not at all.

libsndfile (`sndfile.py`) reads and writes WAV, FLAC, Ogg, Opus, MP3, AIFF and more; PyAV (`av_reader.py`,
`av_writer.py`), if installed, what libsndfile cannot open: m4a, and the audio track of a video. Both stand behind one
interface (`interface.py`).
"""

from imse.audio.files import ENHANCED_SUFFIX, find_audio, is_audio
from imse.audio.formats import SNDFILE_EXTENSIONS, holds_integers, output_format_for
from imse.audio.interface import AudioInfo, Block, Reader, Writer
from imse.audio.opening import open_output, open_reader, open_writer
from imse.audio.stdio import STDIO

__all__ = [
    "ENHANCED_SUFFIX",
    "SNDFILE_EXTENSIONS",
    "STDIO",
    "AudioInfo",
    "Block",
    "Reader",
    "Writer",
    "find_audio",
    "holds_integers",
    "is_audio",
    "open_output",
    "open_reader",
    "open_writer",
    "output_format_for",
]
