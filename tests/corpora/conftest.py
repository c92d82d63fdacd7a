"""Ray on this machine and an S3 server, once for each test process, and the corpora that the tests have in common."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from corpora.material import Corpus

if TYPE_CHECKING:
    from imse.corpus.run import Outcome

if find_spec("ray") is None:  # of imse[corpus]
    collect_ignore_glob = ["test_*.py"]

Run = Callable[..., "Outcome"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ray and moto warn of what they do themselves."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """A bucket on a server of moto's, which the workers of `cluster` reach, too."""
    import s3fs
    from moto.server import ThreadedMotoServer

    served = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    s3fs.S3FileSystem().mkdir("corpora")
    yield "s3://corpora"
    served.stop()


@pytest.fixture(scope="session")
def cluster(s3: str) -> Iterator[None]:  # noqa: ARG001 - whose address the workers need
    """Ray with two workers."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=100 * 2**20,
    )
    yield
    ray.shutdown()


@pytest.fixture
def clean(cluster: None, small_weights: Path) -> Run:  # noqa: ARG001 - it runs
    """Runs a corpus as the command does, with a small network."""
    from imse.corpus.cleaner import Settings
    from imse.corpus.plan import plan
    from imse.corpus.run import Resources, run
    from imse.corpus.work import Job

    def clean(
        source: str | Path, output: str | Path, *, workers: int = 2, limit: int | None = None, **options: object
    ) -> Outcome:
        settings = Settings(str(small_weights), "native", **options)  # type: ignore[arg-type]
        planned = plan(str(source), str(output), column=settings.column)
        return run(Job(planned.form, str(output), settings), planned, Resources(workers=workers), limit)

    return clean


@pytest.fixture(scope="session")
def corpus(recording: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Recordings of all sorts in folders: good, odd, and some that cannot be read."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "anna" / "one").mkdir(parents=True)
    (folder / "ben").mkdir()
    soundfile.write(folder / "a.wav", recording[:16_000], 16_000)
    soundfile.write(folder / "anna" / "b.flac", recording[:24_000], 48_000)
    soundfile.write(folder / "anna" / "one" / "c::d #[1]?.ogg", recording[:16_000], 16_000)
    soundfile.write(folder / "ben" / "stereo.wav", recording[:32_000].reshape(-1, 2), 44_100, subtype="PCM_24")
    soundfile.write(folder / "ben" / "nothing in it.wav", recording[:0], 16_000)
    soundfile.write(folder / "ben" / "long.wav", np.tile(recording, 2), 16_000)
    (folder / "broken.wav").write_bytes(b"RIFF, but no more")
    (folder / "empty.flac").touch()
    soundfile.write(folder / "nan.wav", np.full(100, np.nan), 16_000, subtype="FLOAT")
    cut = (folder / "a.wav").read_bytes()
    (folder / "cut.wav").write_bytes(cut[: len(cut) // 2])
    (folder / "notes.txt").write_text("not audio")
    return Corpus(folder, unreadable={"broken.wav", "empty.flac", "nan.wav"}, damaged={"cut.wav"})
