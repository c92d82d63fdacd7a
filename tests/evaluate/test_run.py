"""Whole folders: systems, summaries, cells, comparisons, and the same result from several processes."""

from __future__ import annotations

import json
import subprocess
import sys
from multiprocessing import active_children
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.material import RATE, noise, speech, write
from imse.errors import ImseError
from imse.evaluate import evaluate
from imse.evaluate.statistics import bootstrap
from imse.evaluate.tables import notes
from imse.evaluate.writers import write_csv, write_json

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


@given(delay=st.integers(-800, 800), longer=st.integers(-800, 800), noisy=st.booleans())
@settings(max_examples=15, deadline=None)
def test_alignment_takes_out_any_delay_and_difference_of_length(delay: int, longer: int, noisy: bool) -> None:
    """The part that both have is scored as if there had been no delay."""
    clean = speech(1)
    other = clean + noise(clean, 10) if noisy else clean
    moved = np.concatenate([np.zeros(max(delay, 0)), other[max(-delay, 0) :], np.zeros(max(longer, 0))])
    moved = moved[: len(moved) + min(longer, 0)]
    with TemporaryDirectory() as name:
        root = Path(name)
        write(root / "clean", {"a.wav": clean})
        write(root / "late", {"a.wav": moved})
        aligned = evaluate(root / "clean", root / "late", measures=["si_sdr_db"], align=True)
    [file] = aligned.enhanced[0].files
    assert file.delay_samples == file.removed_samples == delay
    assert file.cut_samples == max(-delay, 0) + max(0, RATE - max(-delay, 0) - (len(moved) - max(delay, 0)))
    # With silence appended there is nothing to score beyond the clean file's end; what was cut is missing in both.
    assert file.values["si_sdr_db"] == pytest.approx(10 if noisy else 75, abs=1 if noisy else 30)


def test_alignment_is_said_and_asked_for(tmp_path: Path) -> None:
    """Without it, a delay is counted as distortion; with it, what was removed is said everywhere."""
    voice = speech(1, 0)
    late = write(tmp_path / "late", {"a.wav": np.roll(voice, 37)[:-90]})
    clean = write(tmp_path / "clean", {"a.wav": voice})
    plain = evaluate(clean, late, measures=CHEAP)
    assert plain.enhanced[0].files[0].removed_samples == 0
    assert "most measures take a delay for distortion" in notes(plain)[-1]
    aligned = evaluate(clean, late, measures=CHEAP, align=True, jobs=2)
    assert aligned.enhanced[0].files[0].values["ssnr_db"] > plain.enhanced[0].files[0].values["ssnr_db"] + 10
    delayed, cut = notes(aligned)[-2:]
    assert delayed.endswith("(median of all 37 samples, most 37 samples or 2.31 ms: a); the delays were removed")
    assert cut == "late: up to 127 samples at 16 kHz of a clean file have no counterpart and were not scored (a)"
    write_json(aligned, tmp_path / "a.json")
    write_csv(aligned, tmp_path / "a.csv")
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["aligned"] is True
    assert document["enhanced"][0]["files"][0]["removed_samples"] == 37
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("late,a,,37,37,127,")


def test_alignment_does_not_bridge_more_than_a_second(tmp_path: Path) -> None:
    clean = write(tmp_path / "clean", {"a.wav": speech(2)})
    short = write(tmp_path / "short", {"a.wav": speech(2)[: RATE - 1]})
    with pytest.raises(ImseError, match=r"15999 samples, but .* has 32000$"):
        evaluate(clean, short, align=True)
    late = write(tmp_path / "late", {"a.wav": speech(2)[101:]})
    with pytest.raises(ImseError, match="--align removes a delay of up to a second"):
        evaluate(clean, late)
