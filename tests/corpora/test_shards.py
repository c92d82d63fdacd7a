"""Shards and manifests, read back by the libraries that people read them with."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from numpy.typing import NDArray

from corpora.conftest import Run
from corpora.material import Corpus, rows
from imse import Enhancer
from imse.corpus.cleaner import SCORES, Cleaner, Settings
from imse.corpus.plan import plan
from imse.corpus.summary import write_errors
from imse.corpus.tar import clean_shard
from imse.errors import ImseError

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def enhancer(small_weights: Path) -> Enhancer:
    return Enhancer(small_weights, "native")


def flac(samples: Floats) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="FLAC")
    return file.getvalue()


@pytest.fixture(scope="module")
def sounds(recording: Floats) -> list[bytes]:
    """Three recordings as FLAC, and between them one that cannot be read."""
    good = [flac(recording[start : start + 8_000]) for start in (0, 20_000, 40_000)]
    return [good[0], b"fLaC?", *good[1:]]


def expected(sound: bytes, enhancer: Enhancer, folder: Path) -> Floats:
    (folder / "source.flac").write_bytes(sound)
    enhancer.enhance_file(folder / "source.flac", folder / "target.flac")
    return read(folder / "target.flac")


def read(source: Any) -> Floats:
    return np.asarray(soundfile.read(source, dtype="float32")[0])


@pytest.mark.parametrize("score", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_parquet_of_datasets(clean: Run, sounds: list[bytes], enhancer: Enhancer, tmp_path: Path, score: bool) -> None:
    """Written and read by `datasets`, with its own kind of column."""
    import datasets

    kept = [0] if score else [0, 2, 3]  # ratings take a while
    audio = [{"bytes": sound, "path": f"{name}.flac"} for name, sound in enumerate(sounds[: kept[-1] + 2])]
    table = datasets.Dataset.from_dict(
        {"id": list(range(len(audio))), "audio": audio, "text": list("abcd")[: len(audio)]}
    )
    table = table.cast_column("audio", datasets.Audio(16_000))
    for shard in range(len(audio) // 2):
        table.select(range(2 * shard, 2 * shard + 2)).to_parquet(
            tmp_path / "in" / f"data-{shard}.parquet", batch_size=1
        )
    outcome = clean(tmp_path / "in", tmp_path / "out", score=score)
    assert outcome.done == len(audio) // 2
    assert [Path(path).name for path, _ in outcome.errors] == ["data-0.parquet#1 (1.flac)"]

    cache = str(tmp_path / "cache")
    found = datasets.load_dataset("parquet", data_dir=str(tmp_path / "out"), split="train", cache_dir=cache)
    assert found.features["audio"] == table.features["audio"]
    found = found.cast_column("audio", datasets.Audio(decode=False))
    assert found["id"] == kept
    assert found["text"] == ["abcd"[number] for number in kept]
    for row in found:
        samples = read(io.BytesIO(row["audio"]["bytes"]))
        assert np.array_equal(samples, expected(sounds[row["id"]], enhancer, tmp_path))
        assert row["audio"]["path"] == f"{row['id']}.flac"
        assert not score or all(isinstance(row[name], float) for name in SCORES if name.startswith("dnsmos"))
    assert rows(tmp_path / "out" / ".imse" / "errors.parquet")[0]["reason"].startswith("not audio that can be read")


@pytest.mark.parametrize(("kind", "compression"), [(pa.binary(), "ZSTD"), (pa.large_binary(), "UNCOMPRESSED")])
def test_parquet_with_bytes_alone(
    clean: Run, sounds: list[bytes], enhancer: Enhancer, tmp_path: Path, kind: pa.DataType, compression: str
) -> None:
    """Row groups, compression and order of columns are kept, and rows without audio; the bytes say what they are."""
    table = pa.table({"sound": pa.array([*sounds, None], kind), "n": [3, 2, 1, 0, -1]})
    (tmp_path / "in").mkdir()
    pq.write_table(
        table,
        tmp_path / "in" / "x.parquet",
        row_group_size=2,
        compression={"sound": compression.replace("UNCOMPRESSED", "NONE"), "n": "GZIP"},
    )
    clean(tmp_path / "in" / "x.parquet", tmp_path / "out")
    before, after = (pq.ParquetFile(tmp_path / name / "x.parquet") for name in ("in", "out"))
    assert after.schema_arrow == before.schema_arrow
    assert after.num_row_groups == before.num_row_groups
    assert [after.metadata.row_group(0).column(number).compression for number in range(2)] == [compression, "GZIP"]
    found = after.read().to_pylist()
    assert [row["n"] for row in found] == [3, 1, 0, -1]
    assert found[3]["sound"] is None
    assert np.array_equal(read(io.BytesIO(found[1]["sound"])), expected(sounds[2], enhancer, tmp_path))


def test_the_column_with_audio(clean: Run, sounds: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    table = pa.table({"noisy": pa.array(sounds[:1]), "image": pa.array([b"PNG"])})
    pq.write_table(table, tmp_path / "in" / "x.parquet")
    outcome = clean(tmp_path / "in", tmp_path / "none")
    assert (outcome.done, outcome.failed) == (0, 1)
    assert outcome.errors[0][1] == "several columns with audio; name it by --column"
    assert clean(tmp_path / "in", tmp_path / "out", column="noisy").done == 1
    assert rows(tmp_path / "out" / "x.parquet")[0]["image"] == b"PNG"


@pytest.mark.parametrize("extension", ["tar", "tar.gz"])
def test_webdataset(clean: Run, sounds: list[bytes], enhancer: Enhancer, tmp_path: Path, extension: str) -> None:
    """Written and read by `webdataset`: all members of a sample, in their order."""
    import webdataset

    (tmp_path / "in").mkdir()
    name = f"shard-000000.{extension}"
    with webdataset.TarWriter(str(tmp_path / "in" / name)) as writer:
        for number, sound in enumerate(sounds):
            writer.write(
                {"__key__": f"set/{number:03}", "flac": sound, "txt": f"text {number}", "left.flac": sounds[0]}
            )
    outcome = clean(tmp_path / "in", tmp_path / "out")
    assert [path.rpartition("/")[2] for path, _ in outcome.errors] == ["001"]
    first = (tmp_path / "out" / name).read_bytes()
    samples = list(webdataset.WebDataset(str(tmp_path / "out" / name), shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == ["set/000", "set/002", "set/003"]
    for sample in samples:
        number = int(sample["__key__"][-3:])
        assert sample["txt"] == f"text {number}"
        for key, sound in (("flac", sounds[number]), ("left.flac", sounds[0])):
            assert np.array_equal(read(io.BytesIO(sample[key])), expected(sound, enhancer, tmp_path))
    (tmp_path / "out" / name).unlink()
    clean(tmp_path / "in", tmp_path / "out", workers=1)
    assert (tmp_path / "out" / name).read_bytes() == first


def test_a_tar_that_was_cut_short(clean: Run, sounds: list[bytes], tmp_path: Path) -> None:
    """What is whole in it is enhanced."""
    shard = tmp_path / "in.tar"
    with tarfile.open(shard, "w") as tar:
        for number in range(3):
            for extension, data in (("flac", sounds[0]), ("txt", b"x" * 3_000)):
                header = tarfile.TarInfo(f"{number}.{extension}")
                header.size = len(data)
                tar.addfile(header, io.BytesIO(data))
    shard.write_bytes(shard.read_bytes()[:-9_000])
    outcome = clean(shard, tmp_path / "out")
    assert outcome.errors == [(str(shard), "damaged or cut short; 2 samples could be read")]
    with tarfile.open(tmp_path / "out" / "in.tar") as tar:
        assert tar.getnames() == ["0.flac", "0.txt", "1.flac", "1.txt"]
    assert clean(shard, tmp_path / "out").errors == outcome.errors


def test_a_tar_without_recordings(small_weights: Path, tmp_path: Path) -> None:
    """A copy of it would look like a success."""
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("1.json"))
    cleaner = Cleaner(Settings(str(small_weights), "native"))
    with pytest.raises(ImseError, match="no recordings in this tar file"):
        clean_shard(tmp_path / "in.tar", tmp_path / "out.tar", "in.tar", cleaner)
    assert not (tmp_path / "out.tar").exists()


def test_errors_of_names_that_are_not_utf8(tmp_path: Path) -> None:
    write_errors(str(tmp_path), "webdataset", [("in.tar#caf\udce9", "not audio")])
    assert rows(tmp_path / "errors.parquet") == [{"path": "in.tar#caf\\udce9", "reason": "not audio"}]


def lhotse_manifest(corpus: Corpus, folder: Path) -> Path:
    """Cuts of a recording, written by Lhotse, two of them of the same one."""
    import lhotse

    whole = lhotse.Recording.from_file(corpus.folder / "ben" / "long.wav").to_cut()
    other = lhotse.Recording.from_file(corpus.folder / "a.wav").to_cut()
    cuts = [whole.truncate(offset=1, duration=2), whole.truncate(offset=4, duration=1), other]
    mixed = cuts[0].mix(other, offset_other_by=0.5, snr=10).with_id("mixed")
    lhotse.CutSet.from_cuts([*cuts, mixed]).to_jsonl(folder / "cuts.jsonl.gz")
    return folder / "cuts.jsonl.gz"


def test_lhotse(clean: Run, corpus: Corpus, enhancer: Enhancer, tmp_path: Path) -> None:
    """Cuts stay where they are, in recordings that are enhanced as a whole, each once."""
    import lhotse

    outcome = clean(lhotse_manifest(corpus, tmp_path), tmp_path / "out")
    assert outcome.done == 2
    before, after = (
        lhotse.CutSet.from_jsonl(path / "cuts.jsonl.gz").to_eager() for path in (tmp_path, tmp_path / "out")
    )
    assert [cut.id for cut in after] == [cut.id for cut in before]
    enhancer.enhance_file(corpus.folder / "ben" / "long.wav", tmp_path / "long.wav")
    samples = read(tmp_path / "long.wav")
    first = next(iter(after)).load_audio()[0]
    assert np.array_equal(first, samples[16_000:48_000])
    assert list(after)[3].load_audio().shape == list(before)[3].load_audio().shape


def test_nemo(clean: Run, corpus: Corpus, tmp_path: Path) -> None:
    """Paths are relative to the manifest, and other keys are kept. A line whose recording failed is left out."""
    lines = [
        {"audio_filepath": "anna/b.flac", "offset": 0.1, "duration": 0.3, "text": "ä"},
        {"audio_filepath": str(corpus.folder / "broken.wav"), "duration": 1.0, "text": ""},
        {"audio_filepath": "anna/b.flac", "duration": 0.2, "text": "half an emoji: \ud83d", "speaker": 7},
    ]
    manifest = corpus.folder / "train.jsonl"
    manifest.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    outcome = clean(manifest, tmp_path)
    assert (outcome.done, outcome.failed) == (1, 1)
    written = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert written == [line | {"audio_filepath": "audio/anna/b.flac"} for line in (lines[0], lines[2])]
    assert soundfile.info(tmp_path / written[0]["audio_filepath"]).frames == 24_000


def test_one_recording_by_several_paths(tmp_path: Path) -> None:
    """It is enhanced once, and its output lies nowhere but below the folder of outputs. The longest is first."""
    paths = ["a.wav", "./a.wav", "../x/a.wav", f"{tmp_path}/x/a.wav"]
    lines = [*({"path": path, "duration": 1} for path in paths), {"path": "../y/b.wav", "offset": 5, "duration": 1}]
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "m.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    units = plan(str(tmp_path / "x" / "m.jsonl"), str(tmp_path / "out")).units
    assert [unit.inside for unit in units] == ["audio/y/b.wav", "audio/x/a.wav"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "x.jsonl:2: not JSON"),
        ('{"text": "no audio"}', "x.jsonl:2: no path of a recording; --column names its key"),
        ('{"id": "r", "sampling_rate": 1, "sources": [{"type": "command", "source": "rm"}]}', "of type 'command'"),
    ],
)
def test_lines_that_are_refused(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(f'{{"path": "a.wav"}}\n{line}\n'.encode()))
    with pytest.raises(ImseError, match=message.replace("x.jsonl", r"x\.jsonl\.gz")):
        plan(str(tmp_path / "x.jsonl.gz"), str(tmp_path / "out"))


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b'{"path": "a.wav"}\n', mtime=0)[:-4], gzip.compress(b'{"path": "\xe9.wav"}\n', mtime=0)],
    ids=["cut", "latin-1"],
)
def test_manifests_that_cannot_be_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(content)
    with pytest.raises(ImseError, match="not text in UTF-8, or cut short"):
        plan(str(tmp_path / "x.jsonl.gz"), str(tmp_path / "out"))
