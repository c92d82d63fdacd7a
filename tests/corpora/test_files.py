"""Folders of recordings: what comes out is what `imse enhance` makes of each file, whatever the number of workers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import ray
import soundfile

from corpora.conftest import Run
from corpora.material import Corpus, contents, rows
from imse import Enhancer
from imse.corpus.cleaner import SCORES, Settings
from imse.corpus.plan import plan
from imse.corpus.run import Resources, _batches, _not_to_be_seen, _wanted_batches
from imse.corpus.storage import Found, _partial_name
from imse.corpus.work import Attempts, Job, _Worker
from imse.errors import ImseError


@pytest.fixture(scope="module")
def expected(corpus: Corpus, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What `imse enhance` makes of the recordings."""
    folder = tmp_path_factory.mktemp("expected")
    enhancer = Enhancer(small_weights, "native")
    for name in corpus.good:
        enhancer.enhance_file(corpus.folder / name, folder / name)
    return contents(folder)


def audio(folder: Path) -> dict[str, bytes]:
    """Without what is being written, which has a hidden name."""
    return {
        name: data
        for name, data in contents(folder).items()
        if not name.startswith((".imse/", "errors", "scores")) and not Path(name).name.startswith(".")
    }


def test_a_folder(clean: Run, corpus: Corpus, expected: dict[str, bytes], tmp_path: Path) -> None:
    """Every recording as by `imse enhance`; those that cannot be read are in a table, and in every later run."""
    outcome = clean(corpus.folder, tmp_path)
    assert audio(tmp_path) == expected
    assert (outcome.done, outcome.failed) == (len(corpus.good), len(corpus.unreadable))
    assert outcome.seconds == pytest.approx(sum(soundfile.info(tmp_path / name).duration for name in corpus.good))
    reasons = {Path(row["path"]).name: row["reason"] for row in rows(tmp_path / "errors.parquet")}
    assert reasons.keys() == corpus.unreadable | corpus.damaged
    assert reasons["empty.flac"] == "an empty file"
    assert reasons["nan.wav"] == "contains NaN or infinite samples"
    assert reasons["cut.wav"].startswith("damaged or cut short; ")

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.name in expected}
    table = (tmp_path / "errors.parquet").read_bytes()
    again = clean(corpus.folder, tmp_path, workers=1)
    assert (again.complete, again.done) == (len(corpus.good), 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (tmp_path / "errors.parquet").read_bytes() == table


def test_one_worker_and_a_trial_before_all(
    clean: Run, corpus: Corpus, expected: dict[str, bytes], tmp_path: Path
) -> None:
    assert clean(corpus.folder, tmp_path, workers=1, limit=2).done == 2
    assert audio(tmp_path).items() <= expected.items()
    clean(corpus.folder, tmp_path, workers=1)
    assert audio(tmp_path) == expected


def test_what_a_killed_run_leaves_behind_is_no_output(
    clean: Run, corpus: Corpus, expected: dict[str, bytes], tmp_path: Path
) -> None:
    clean(corpus.folder, tmp_path, limit=1)
    (name,) = audio(tmp_path)
    done = tmp_path / name
    partial = plan(str(corpus.folder), str(tmp_path)).units[0]
    left = (tmp_path / partial.inside).with_name(_partial_name(Path(partial.inside)))
    left.parent.mkdir(exist_ok=True)
    shutil.copy(done, left)
    clean(corpus.folder, tmp_path)
    assert audio(tmp_path) == expected
    assert not left.exists()


@pytest.mark.slow
def test_scores(clean: Run, corpus: Corpus, tmp_path: Path) -> None:
    clean(corpus.folder / "anna", tmp_path, score=True)
    table = {row["path"]: row for row in rows(tmp_path / "scores.parquet")}
    assert table.keys() == {"b.flac", "one/c::d #[1]?.ogg"}
    assert all(1 <= table["one/c::d #[1]?.ogg"][name] <= 5 for name in SCORES if name.startswith("dnsmos"))
    (tmp_path / "b.flac").unlink()
    clean(corpus.folder / "anna", tmp_path, score=True)
    assert {row["path"]: row for row in rows(tmp_path / "scores.parquet")} == table


def test_other_settings_and_inputs_go_elsewhere(clean: Run, corpus: Corpus, tmp_path: Path) -> None:
    """Or a folder would hold some of both, and what is complete would be taken for that of another input."""
    clean(corpus.folder / "anna", tmp_path, limit=1)
    with pytest.raises(ImseError, match="was made with another attenuation limit db"):
        clean(corpus.folder / "anna", tmp_path, attenuation_limit_db=6.0)
    with pytest.raises(ImseError, match="was made with another input"):
        clean(corpus.folder / "ben", tmp_path)


def test_an_output_is_neither_the_input_nor_what_was_there(clean: Run, corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(corpus.folder)
    with pytest.raises(ImseError, match="was there before; OUT is another folder"):
        clean(corpus.folder, tmp_path / "link")
    with pytest.raises(ImseError, match="the input lies in it; OUT is another folder"):
        clean(corpus.folder / "anna", corpus.folder)
    assert not (corpus.folder / ".imse").exists()


def test_an_output_inside_the_input_is_no_input(clean: Run, corpus: Corpus, tmp_path: Path) -> None:
    shutil.copytree(corpus.folder / "anna", tmp_path / "anna")
    for _ in range(2):
        outcome = clean(tmp_path, tmp_path / "clean")
        assert outcome.done + outcome.complete == 2
    assert {path.name for path in (tmp_path / "clean" / "anna").iterdir()} == {"b.flac", "one"}


def test_odd_names_and_links(clean: Run, corpus: Corpus, tmp_path: Path) -> None:
    """A name that is not UTF-8 stops nothing; a link to a folder is followed; one that leads nowhere is an error."""
    folder = tmp_path / "in [1]*"
    folder.mkdir()
    (folder / "anna").symlink_to(corpus.folder / "anna")
    (folder / "lost.wav").symlink_to("nowhere.wav")
    with contextlib.suppress(OSError):  # some file systems refuse
        shutil.copy(corpus.folder / "a.wav", folder / os.fsdecode(b"caf\xe9.wav"))
    outcome = clean(folder, tmp_path / "out")
    assert set(audio(tmp_path / "out")) == {"anna/b.flac", "anna/one/c::d #[1]?.ogg"}
    reasons = {path.rpartition("/")[2]: reason for path, reason in outcome.errors}
    assert reasons.pop("lost.wav") == "no such file or directory"
    assert set(reasons.values()) <= {"the name is not UTF-8"}


@pytest.mark.usefixtures("cluster")
def test_batches_for_a_cluster_that_grows() -> None:
    """It may have no processor yet when the work is shared out."""
    units = [Found(f"/in/{number}.tar", f"{number}.tar", size=10**9) for number in range(2_000)]
    assert len(_batches(units, _wanted_batches(Resources("auto")))) == 2_000
    assert len(_batches(units, _wanted_batches(Resources("auto", workers=10)))) == 334


def test_folders_that_machines_do_not_share(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    ((path, reason),) = _not_to_be_seen(str(tmp_path), {"a.wav", "b/c.wav"})
    assert path == f"{tmp_path}/b/c.wav"
    assert "OUT must be a folder that all share" in reason


@pytest.mark.parametrize("pattern", ["anna/*.flac", "**/*.flac"])
def test_a_glob(corpus: Corpus, pattern: str, tmp_path: Path) -> None:
    found = plan(f"{corpus.folder}/{pattern}", str(tmp_path)).units
    assert "b.flac" in {Path(unit.inside).name for unit in found}
    assert all(unit.inside.endswith(".flac") for unit in found)


def test_s3(clean: Run, corpus: Corpus, expected: dict[str, bytes], s3: str) -> None:
    """Both ends in an object store: fetched, enhanced, put whole."""
    import s3fs

    store = s3fs.S3FileSystem()
    store.put(str(corpus.folder), f"{s3}/noisy", recursive=True)
    outcome = clean(f"{s3}/noisy", f"{s3}/clean")
    assert (outcome.done, outcome.failed) == (len(corpus.good), len(corpus.unreadable))
    put = {name.removeprefix("corpora/clean/"): store.cat_file(name) for name in store.find("corpora/clean")}
    # The tags of a file hold nothing of its address, and so the bytes are the same.
    assert {name: put[name] for name in expected} == expected
    assert clean(f"{s3}/noisy", f"{s3}/clean").done == 0


def test_a_full_disk_ends_the_run(clean: Run, corpus: Corpus, expected: dict[str, bytes], tmp_path: Path) -> None:
    """It is no fault of the recordings. With more room, the same command goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", disk], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        with pytest.raises(ImseError, match="no space left on device; the same command goes on when there is room"):
            clean(corpus.folder, disk)
        assert audio(disk).items() < expected.items()
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        clean(corpus.folder, disk)
        assert audio(disk) == expected
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)  # a worker that is ending may still use it


@pytest.mark.usefixtures("cluster")
def test_what_kills_every_worker_is_given_up(corpus: Corpus, small_weights: Path, tmp_path: Path) -> None:
    attempts = ray.remote(num_cpus=0)(Attempts).remote()
    for _ in range(Attempts.MOST):
        assert ray.get(attempts.begin.remote("a.wav"))  # and its process died
    worker = _Worker(Job("files", str(tmp_path), Settings(str(small_weights), "native")), attempts)
    result = worker.run({"source": str(corpus.folder / "a.wav"), "inside": "a.wav"})
    assert not result["done"]
    assert "the worker process died each time" in result["report"]
    other = worker.run({"source": str(corpus.folder / "anna" / "b.flac"), "inside": "anna/b.flac"})
    assert other["done"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no files there"),
        (("a.txt",), "none of files, manifest, parquet, webdataset"),
        (("a.wav", "b.tar"), "several forms of corpora: --form names one of"),
    ],
)
def test_nothing_to_do(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(ImseError, match=message):
        plan(str(tmp_path), str(tmp_path / "out"))
