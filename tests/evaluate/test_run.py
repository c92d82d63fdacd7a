"""Whole folders: systems, summaries, cells, comparisons, and the same result from several processes."""

from __future__ import annotations

import subprocess
import sys
from multiprocessing import active_children
from pathlib import Path

import pytest

from evaluate.material import noise, speech, write
from imse.errors import ImseError
from imse.evaluate import evaluate
from imse.evaluate.statistics import bootstrap

CHEAP = ("ssnr_db", "llr", "level_db")
NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four voices: clean, noisy at 0 or 10 dB, and two systems that take 5 and 10 dB of that away."""
    root = tmp_path_factory.mktemp("folders")
    voices = {f"{name}.wav": speech(1, seed) for seed, name in enumerate(NAMES)}
    write(root / "clean", voices)
    for folder, gain_db in (("noisy", 0), ("mild/out", 5), ("strong/out", 10)):
        snrs_db = {"a.wav": 0, "b.wav": 0, "c.wav": 10, "d.wav": 10}
        write(root / folder, {k: v + noise(v, snrs_db[k] + gain_db) for k, v in voices.items()})
    rows = "".join(f"{name}\t{snr_db}\n" for name, snr_db in zip(NAMES, (0, 0, 10, 10), strict=True))
    (root / "index.tsv").write_text(f"id\tsnr_db\n{rows}")
    return root


def test_systems_cells_and_comparisons(folders: Path) -> None:
    calls: list[tuple[int, int]] = []
    evaluation = evaluate(
        folders / "clean",
        [folders / "mild" / "out", folders / "strong" / "out"],
        folders / "noisy",
        index=folders / "index.tsv",
        measures=CHEAP,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(done, 12) for done in range(1, 13)]
    assert [system.name for system in evaluation.systems] == ["noisy", "mild/out", "strong/out"]
    assert evaluation.cells == {"0 dB": (0, 1), "10 dB": (2, 3)}
    noisy, mild, strong = (evaluation.summary(system, "ssnr_db") for system in evaluation.systems)
    assert ascending(noisy.mean, mild.mean, strong.mean)
    assert ascending(noisy.low, noisy.mean, noisy.high)
    assert ascending(noisy.cells["0 dB"], noisy.mean_of_cells, noisy.cells["10 dB"])
    assert noisy.mean_of_cells == pytest.approx(noisy.mean)
    over_noisy, _, over_mild = evaluation.comparisons("llr")
    assert (over_noisy.first, over_noisy.second) == ("noisy", "mild/out")
    assert (over_mild.wins, over_mild.losses, over_mild.files) == (4, 0, 4)  # lower is better
    assert ascending(over_mild.low, over_mild.mean, over_mild.high, 0)


def ascending(*values: float | None) -> bool:
    numbers = [value for value in values if value is not None]
    return len(numbers) == len(values) and sorted(set(numbers)) == numbers


def test_several_processes_give_the_same(folders: Path) -> None:
    one = evaluate(folders / "clean", folders / "noisy", measures=CHEAP)
    two = evaluate(folders / "clean", folders / "noisy", measures=CHEAP, jobs=2)
    for first, second in zip(one.enhanced[0].files, two.enhanced[0].files, strict=True):
        assert first.values == pytest.approx(second.values, rel=1e-12)
        assert first.delay_samples == second.delay_samples == 0


def test_many_snrs_share_cells(tmp_path: Path) -> None:
    voice = speech(0.2)
    clean = write(tmp_path / "clean", {f"{k}.wav": voice for k in range(8)})
    rows = "".join(f"{k}\t{2.5 * k - 4}\n" for k in range(8))
    (tmp_path / "index.tsv").write_text(f"id\tsnr_db\n{rows}")
    evaluation = evaluate(clean, clean, index=tmp_path / "index.tsv", measures=["level_db"])
    labels = ["-5 to 0 dB", "0 to 5 dB", "5 to 10 dB", "10 to 15 dB"]
    assert {label: len(where) for label, where in evaluation.cells.items()} == dict.fromkeys(labels, 2)


@pytest.mark.parametrize("measures", [["pesq"], []])
def test_unknown_measure(folders: Path, measures: list[str]) -> None:
    with pytest.raises(ImseError, match=r"no such measure.*pesq_wb"):
        evaluate(folders / "clean", folders / "noisy", measures=measures)


def test_bootstrap() -> None:
    mean, low, high = bootstrap([0.0, 1.0] * 50)
    assert mean == 0.5
    # 1.96 standard errors of a fair coin thrown 100 times
    assert (low, high) == pytest.approx((0.402, 0.598), abs=0.011)
    assert bootstrap([0.0, 1.0] * 50) == (mean, low, high)
    assert bootstrap([3.0]) == (3.0, None, None)


def test_no_torch(tmp_path: Path) -> None:
    clean = write(tmp_path / "clean", {"a.wav": speech(0.6)})
    program = (
        f"import sys; from imse.evaluate import evaluate; evaluate({str(clean)!r}, {str(clean)!r}); "
        "sys.exit('torch' in sys.modules or 'librosa' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_a_process_that_dies_is_an_error_that_names_the_files(folders: Path) -> None:
    def kill(*_: int) -> None:
        for worker in active_children():
            worker.kill()

    with pytest.raises(ImseError, match=r"a process died, at one of these: .*noisy/"):
        evaluate(folders / "clean", folders / "noisy", measures=["pesq_nb"], jobs=2, progress=kill)
