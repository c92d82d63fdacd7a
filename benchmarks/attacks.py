"""What `fuzz.py` attacks: whole files to start from, how each is damaged, and what must not happen to a damaged one.

An attack ends well if the file is used, or refused by an error whose message is one line. It raises anything else.
"""

from __future__ import annotations

import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random

import mutagen
import numpy as np
import soundfile
from mutagen.id3 import ID3, TIT2

from imse.audio import AudioInfo, open_reader, open_writer, output_format_for
from imse.audio.formats import SUBTYPES, is_written
from imse.engine import AUTO
from imse.enhancer import Enhancer
from imse.errors import ImseError, describe
from imse.signal.spectrum import Floats
from imse.weights import FOLDER
from mutations import damaged, damaged_safetensors, damaged_text

RECIPES = Path(__file__).resolve().parents[1] / "recipes"

_RATE, _SAMPLES = 16_000, 2_400  # of the recordings that are damaged
_EXTENSIONS = {
    "WAV": ".wav", "WAVEX": ".wav", "RF64": ".wav", "W64": ".w64", "AIFF": ".aiff", "CAF": ".caf", "AU": ".au",
    "NIST": ".sph", "FLAC": ".flac", "OGG": ".ogg", "MP3": ".mp3",
}  # fmt: skip
_AV = (".m4a", ".mp4", ".mov", ".mkv", ".webm", ".aac")
_BLOCK_CODECS = ("IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32")


class Misbehaviour(Exception):  # noqa: N818 - it is what was found
    """What a file must not do; the message says what it did."""


@dataclass(frozen=True)
class Kind:
    """A kind of files to attack.

    Attributes:
        seeds: Whole files by name.
        mutate: Damage the content of one of them; the name, the content, and where to draw from.
        attack: Use a damaged file, which lies alone in its folder, or in one of `material`.
        material: A folder to copy beside it.
    """

    seeds: Mapping[str, bytes]
    mutate: Callable[[str, bytes, Random], bytes]
    attack: Callable[[Path], None]
    material: Path | None = None


def expect_one_line(error: Exception) -> None:
    """Raise `Misbehaviour` for an error whose message is more than a line, or none."""
    text = str(error) if isinstance(error, ImseError) else describe(error)
    if not text.strip() or "\n" in text:
        raise Misbehaviour(f"a message that is not one line: {text[:200]!r}")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (ImseError, OSError) as error:
        expect_one_line(error)


def sound() -> Kind:
    """Sound files and videos of every format, which are enhanced."""
    seeds = dict(_sounds())
    contents = list(seeds.values())
    enhancer = Enhancer("small")

    def attack(path: Path) -> None:
        extension = path.suffix if is_written(path) and path.stem[-1] in "02468" else ".wav"
        target = path.parent / f"out{extension}"
        try:
            enhancer.enhance_file(path, target)
        except (ImseError, OSError) as error:
            expect_one_line(error)
            if target.exists():
                raise Misbehaviour(f"an output in spite of an error: {error}") from error
        else:
            with open_reader(target) as reader:
                for block in reader.blocks(_RATE):
                    if not np.isfinite(block).all():
                        raise Misbehaviour("an output that is not finite")
        if left := {file.name for file in path.parent.iterdir()} - {path.name, target.name}:
            raise Misbehaviour(f"files are left: {', '.join(left)}")

    return Kind(seeds, lambda _, content, draw: damaged(content, draw, contents), attack)


def _sounds() -> Iterator[tuple[str, bytes]]:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (_SAMPLES, 2)) * np.linspace(0, 1, _SAMPLES)[:, None]
    with tempfile.TemporaryDirectory() as folder:
        for container, subtypes in SUBTYPES.items():
            for number, subtype in enumerate(sorted({*subtypes, *(_BLOCK_CODECS if container == "WAV" else ())})):
                name = f"{container}-{subtype}-{number % 2}{_EXTENSIONS[container]}"
                path, channels = Path(folder, name), 1 if subtype in _BLOCK_CODECS else 2
                rate = 48_000 if subtype == "OPUS" else _RATE
                soundfile.write(path, samples[:, :channels], rate, subtype, format=container)
                _tag(path)
                yield name, path.read_bytes()
        for number, extension in enumerate(_AV):
            path = Path(folder, f"av-{number % 2}{extension}")
            info = AudioInfo(48_000, 2, _SAMPLES, "WAV", "PCM_16", ".wav")
            try:
                with open_writer(path, output_format_for(path, info)) as writer:
                    writer.write(samples)
            except ImseError:
                return  # PyAV is not installed
            _tag(path)
            yield path.name, path.read_bytes()


def _tag(path: Path) -> None:
    with suppress(mutagen.MutagenError):  # RF64, and what has no tags
        file = mutagen.File(path, easy=True)
        if file is None:
            return
        if file.tags is None:
            file.add_tags()
        if isinstance(file.tags, ID3):
            file.tags.add(TIT2(text="A recording"))
        else:
            file["title"] = "A recording"
        file.save()


def weights() -> Kind:
    """Weights files for the engines, `imse info`, and what copies weights."""
    seeds = {name: Path(FOLDER, name).read_bytes() for name in ("small.safetensors", "small.onnx")}
    noisy = np.random.default_rng(1).standard_normal(2_000).astype(np.float32)

    def mutate(name: str, content: bytes, draw: Random) -> bytes:
        return damaged(content, draw) if name.endswith(".onnx") else damaged_safetensors(content, draw)

    def attack(path: Path) -> None:
        # All of them for each file would take too long.
        uses: list[Callable[[Path], None]] = [_describe]
        if path.suffix == ".safetensors":
            uses += [lambda path: _enhance(path, "torch", noisy), _copy]
        number = zlib.crc32(path.read_bytes())
        with _refusals():
            _enhance(path, AUTO, noisy)
        with _refusals():
            uses[number % len(uses)](path)

    return Kind(seeds, mutate, attack)


def _enhance(path: Path, engine: str, noisy: Floats) -> None:
    if not np.isfinite(Enhancer(path, engine).enhance(noisy, _RATE)).all():
        raise Misbehaviour(f"an output of {engine} that is not finite")


def _describe(path: Path) -> None:
    from imse.info import describe as description

    if not description(path):
        raise Misbehaviour("nothing is said of the weights")


def _copy(path: Path) -> None:
    from imse.checkpoint import load_with_metadata, save

    network, metadata = load_with_metadata(path)
    save(network, path.parent / "copy.safetensors", metadata)
    (path.parent / "copy.safetensors").unlink()
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise Misbehaviour("weights that are not finite are passed on")


def recipes() -> Kind:
    """Recipes for training, checked as `imse train` does before it loads torch."""
    from imse.train.check import check
    from imse.train.recipe_file import read

    def attack(path: Path) -> None:
        with _refusals():
            recipe = read(path)
            check(replace(recipe, run=replace(recipe.run, folder=str(path.parent / "run"))))

    seeds = {path.name: path.read_bytes() for path in sorted(RECIPES.glob("*.toml"))}
    return Kind(seeds, lambda _, content, draw: damaged_text(content.decode(), draw), attack, RECIPES)


def manifests() -> Kind:
    """Tables of recordings, and the first recordings that each names."""
    from imse.train.decode import decode
    from imse.train.manifest import split_manifest
    from imse.train.recipe import DataConfig

    def attack(path: Path) -> None:
        with _refusals():
            split = split_manifest(DataConfig(manifest=str(path)))
            for recording in islice((*split.train, *split.held_out), 2):
                decode(recording)

    table = RECIPES / "tiny" / "MANIFEST.tsv"
    # Beside the recordings that it names.
    return Kind(
        {table.name: table.read_bytes()},
        lambda _, content, draw: damaged_text(content.decode(), draw),
        attack,
        table.parent,
    )


KINDS: dict[str, Callable[[], Kind]] = {"sound": sound, "weights": weights, "recipes": recipes, "manifests": manifests}
"""By name; making one loads what it needs."""


def mutation(kind: Kind, name: str, seed: int, number: int) -> tuple[str, bytes]:
    """The name and content of a damaged file: the same for the same seed and number.

    Args:
        kind: What it is.
        name: Its name in `KINDS`.
        seed: Of the run.
        number: Of the mutation in the run.
    """
    draw = Random(f"{seed} {name} {number}")  # noqa: S311 - damage need not be secret
    seeds = sorted(kind.seeds)
    original = seeds[number % len(seeds)] if name != "weights" or draw.random() < 0.05 else "small.safetensors"
    return original, kind.mutate(original, kind.seeds[original], draw)


def run(kind: Kind, file: str, content: bytes, folder: Path) -> None:
    """Attack with one file.

    Raises:
        Exception: It did what it must not do.
    """
    if kind.material is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    elif not folder.exists():
        shutil.copytree(kind.material, folder)
    path = folder / file
    path.write_bytes(content)
    try:
        kind.attack(path)
    finally:
        if kind.material is not None:
            path.write_bytes(kind.seeds[file])  # which other files of the material may name
