"""Recipes: keys and types are checked, and all recipes in the repository can be read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from imse.errors import ImseError
from imse.train.manifest import read_manifest
from imse.train.recipe import OptimConfig, RecipeError
from imse.train.recipe_file import RUN_RECIPE, differences, read, read_run

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
RUNS = sorted(path for path in RECIPES.rglob("*.toml") if path.stem != "corpus")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "mine"\n[data]\nmanifest = "corpus/M.tsv"\n[optim]\nlr = 1e-3\n[mixing]\nsnr_db = [0, 10]\n'
    )
    return path


def test_values_defaults_and_paths(path: Path) -> None:
    recipe = read(path)
    assert (recipe.name, recipe.optim.lr, recipe.mixing.snr_db) == ("mine", 1e-3, (0.0, 10.0))
    assert recipe.loss.magnitude == 0.9
    assert recipe.data.manifest == str(path.parent / "corpus/M.tsv")


def test_overrides_go_over_the_file(path: Path) -> None:
    recipe = read(path, ["optim.lr=0.1", "name=other", "network.channels=8", 'data.held_out_noises=["rain"]'])
    assert (recipe.optim.lr, recipe.name, recipe.network.channels) == (0.1, "other", 8)
    assert recipe.data.held_out_noises == ("rain",)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("optim.learning_rate=1", "optim.learning_rate"),
        ("speed=1", "speed"),
        ("optim.steps=1.5", "optim.steps"),
        ("optim.steps=0", "steps"),
        ("optim.compile=1", "optim.compile"),
        ("optim.schedule=linear", "linear"),
        ("optim.betas=[0.9]", "optim.betas"),
        ("mixing.snr_db=3", "mixing.snr_db"),
        ("network.channels=12", "channels"),
        ("network=3", "network"),
        ("name.first=x", "name"),
        ("optim.lr", "optim.lr"),
        ("optim.lr=-1", "optim.lr"),
        ("optim.lr=nan", "optim.lr"),
        ("optim.lr=fast", "optim.lr"),
        ("optim.lr=1979-05-27", "optim.lr"),
        ("optim.minutes=-0.5", "optim.minutes"),
        ("optim.batch_size=0", "optim.batch_size"),
        ("optim.segment_samples=509", "optim.segment_samples"),
        ("optim.ema=1", "optim.ema"),
        ("optim.betas=[0.9, 1.0]", "optim.betas"),
        ("mixing.babble=1.5", "mixing.babble"),
        ("mixing.pure_noise=-0.1", "mixing.pure_noise"),
        ("mixing.snr_db=[10, 0]", "mixing.snr_db"),
        ("mixing.babble_voices=[0, 3]", "mixing.babble_voices"),
        ("network.bins=128", r"network\.bins must be 256"),
        ("mixing.shortest_segment=509", "mixing.shortest_segment"),
        ("mixing.shortest_segment=40_000", "optim.segment_samples"),
        ("loss.phase=-1", "loss.phase"),
        ("teacher.share=2", "teacher.share"),
        ("validation.snr_db=[]", "validation.snr_db"),
        ("run.log_interval=0", "run.log_interval"),
        ("data.speech_shares=[1]", "data.speech_shares"),
        ("data.speech_shares.vctk=2", "data.speech_shares.vctk"),
        ("data.speech_shares.vctk=much", "data.speech_shares.vctk"),
        ("data.held_out_speakers=ann", "data.held_out_speakers"),
        ("extends=other.toml", "extends"),
    ],
)
def test_a_bad_key_or_value_is_named_in_one_line(path: Path, override: str, named: str) -> None:
    with pytest.raises(RecipeError, match=named) as error:
        read(path, [override])
    assert len(str(error.value).splitlines()) == 1


def test_known_keys_are_listed_where_one_is_unknown(path: Path) -> None:
    with pytest.raises(RecipeError, match=r"unknown key 'optim\.rate'; known here: batch_size, .*weight_decay$"):
        read(path, ["optim.rate=1"])


def test_a_loss_without_any_term_is_an_error(path: Path) -> None:
    terms = [f"loss.{name}=0" for name in ("magnitude", "phase", "complex", "metric")]
    with pytest.raises(RecipeError, match="loss: at least one weight"):
        read(path, terms)
    assert read(path, [*terms, "loss.level=0.1"]).loss.level == 0.1


def test_shares_of_sources_are_a_table_of_numbers(path: Path) -> None:
    recipe = read(path, ["data.speech_shares.vctk=1", "data.speech_shares.books=0"])
    assert recipe.data.speech_shares == {"vctk": 1.0, "books": 0.0}


def test_of_steps_and_minutes_the_last_one_stated_ends_the_run(path: Path) -> None:
    path.write_text("[optim]\nminutes = 5\n")
    assert read(path, ["optim.steps=4"]).optim == OptimConfig(steps=4)
    assert read(path, ["optim.minutes=3"]).optim.minutes == 3
    extending = path.with_name("extending.toml")
    extending.write_text(f'extends = "{path.name}"\n[optim]\nsteps = 7\n')
    assert read(extending).optim == OptimConfig(steps=7)
    with pytest.raises(RecipeError, match=r"optim\.steps has no effect beside optim\.minutes"):
        read(path, ["optim.steps=4", "optim.minutes=1"])


def test_recordings_are_where_the_user_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    (path.parent / "mine").mkdir()
    assert read(path, data="mine").data.manifest == str(Path("mine", "corpus/M.tsv"))
    assert read(path, ["data.root=yours"]).data.manifest == str(Path("yours", "corpus/M.tsv"))
    assert read(path, data="mine/table.tsv").data.manifest == str(Path("mine/table.tsv"))
    assert read(path, ["data.manifest=table.tsv"]).data.manifest == "table.tsv"
    extending = path.parent / "mine" / "extending.toml"
    extending.write_text('extends = "../recipe.toml"\n[data]\nroot = "deep"\n')
    assert Path(read(extending).data.manifest).resolve() == (path.parent / "mine/deep/corpus/M.tsv").resolve()
    with pytest.raises(RecipeError, match=r"data\.root"):
        read(path, ["data.root=3"])


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        ".".join("a" * 100_000) + " = 1",
        "a = " + "{a = " * 10_000,
        "[optim]\nsteps = " + "9" * 10_000,
        "[optim]\nsteps = 0x" + "f" * 10_000,
        'extends = "a\\u0000b"',
        '[data]\nmanifest = "a\\u0000b"',
        "[network]\nblocks = 1_000_000_000",
        "[optim]\nbatch_size = 1_000_000_000",
        "[loss]\npesq_workers = 1_000_000",
        "[mixing]\nsnr_db = [-1e308, 1e308]",
        "seed = 99_999_999_999_999_999_999",
        "name = 'a\x00b'",
        "\udcff",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_a_hostile_recipe_says_is_an_error_of_one_line(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ImseError) as error:
        read(path)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("value", ["[" * 60_000, "{a = " * 20_000, ".".join("a" * 60_000)])
def test_hostile_overrides_are_errors_of_one_line(path: Path, value: str) -> None:
    for override in (f"optim.lr={value}", f"{value}=1"):
        with pytest.raises(RecipeError) as error:
            read(path, [override])
        assert len(str(error.value).splitlines()) == 1


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "recipe.toml")
    with pytest.raises(ImseError, match="a pipe or a device"):
        read(tmp_path / "recipe.toml")
    with pytest.raises(ImseError, match="a pipe or a device"):
        read_manifest(tmp_path / "recipe.toml")
    with pytest.raises(ImseError, match="a pipe or a device"):
        read_manifest(Path("/dev/zero"))


def test_a_run_goes_on_with_the_recipe_in_its_folder(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    with pytest.raises(RecipeError, match="no run to resume"):
        read_run(folder)
    started = read(path, ["optim.minutes=5", "seed=7", "run.folder=elsewhere"])
    folder.mkdir()
    (folder / RUN_RECIPE).write_text(json.dumps(asdict(started)))
    assert read_run(folder) == replace(started, run=replace(started.run, folder=str(folder)))
    assert read_run(folder, ["optim.steps=9"]).optim == replace(started.optim, steps=9, minutes=0.0)
    assert differences(asdict(started), asdict(read_run(folder, ["seed=8"]))) == ["run.folder", "seed"]
    with pytest.raises(RecipeError, match=r"data\.root has no effect"):
        read_run(folder, ["data.root=mine"])


def test_values_are_checked_when_made_in_python_too() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        OptimConfig(lr=-1.0)


def test_a_recipe_extends_another_key_by_key(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (tmp_path / "base.toml").write_text(
        'name = "base"\nseed = 7\n[data]\nmanifest = "M.tsv"\nheld_out_speakers = ["ann", "bob"]\n'
        "speech_shares = { a = 0.5 }\n[optim]\nlr = 0.1\nema = 0.9\n"
    )
    (folder / "middle.toml").write_text('extends = "../base.toml"\nname = "middle"\n[optim]\nlr = 0.2\nsteps = 10\n')
    last = folder / "last.toml"
    last.write_text(
        'extends = "middle.toml"\n[optim]\nlr = 0.3\n[data]\nheld_out_speakers = ["eve"]\nspeech_shares.b = 0.2\n'
    )
    recipe = read(last, ["optim.ema=0.5"])
    assert (recipe.name, recipe.seed) == ("middle", 7)
    assert (recipe.optim.lr, recipe.optim.steps, recipe.optim.ema) == (0.3, 10, 0.5)
    assert recipe.data.held_out_speakers == ("eve",)
    assert recipe.data.speech_shares == {"a": 0.5, "b": 0.2}
    # A path starts at the file that states it.
    assert Path(recipe.data.manifest).resolve() == (tmp_path / "M.tsv").resolve()


def test_recipes_that_extend_each_other_in_a_circle_are_an_error(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.toml").write_text(f'extends = "{base}.toml"\n')
    with pytest.raises(RecipeError, match=r"c\.toml: extends .*a\.toml, which extends") as error:
        read(tmp_path / "a.toml")
    assert len(str(error.value).splitlines()) == 1
    (tmp_path / "self.toml").write_text('extends = "self.toml"\n')
    with pytest.raises(RecipeError, match=r"self\.toml"):
        read(tmp_path / "self.toml")


def test_long_chains_and_wrong_names_of_recipes_are_errors(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.toml").write_text(f'extends = "{number + 1}.toml"\n')
    (tmp_path / "9.toml").write_text('name = "deep"\n')
    assert read(tmp_path / "2.toml").name == "deep"
    with pytest.raises(RecipeError, match="more than 8 recipes"):
        read(tmp_path / "0.toml")
    (tmp_path / "list.toml").write_text('extends = ["0.toml"]\n')
    with pytest.raises(RecipeError, match="'extends' names one other recipe"):
        read(tmp_path / "list.toml")
    (tmp_path / "lost.toml").write_text('extends = "nowhere.toml"\n')
    with pytest.raises(FileNotFoundError, match=r"nowhere\.toml"):
        read(tmp_path / "lost.toml")


def test_what_is_not_toml_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("steps: 3\n")
    with pytest.raises(RecipeError, match="not TOML"):
        read(path)


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_recipes_checked_in_can_be_read_and_stay_in_the_repository(path: Path) -> None:
    recipe = read(path)
    assert recipe.name == path.stem
    for name in filter(None, (recipe.data.manifest, recipe.data.clean, recipe.data.noisy)):
        assert Path(name).resolve().is_relative_to(RECIPES)
