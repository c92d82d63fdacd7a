"""Steps, resuming and whole runs, in one process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from imse.checkpoint import load, load_with_metadata
from imse.cli import app
from imse.errors import ImseError
from imse.nn import Network, NetworkConfig
from imse.nn.stage import Block
from imse.train import state
from imse.train.check import LAST, ResumeError
from imse.train.growth import deepen
from imse.train.interrupt import Interrupted
from imse.train.loop import BEST, Run
from imse.train.progress import Board
from imse.train.recipe import LossConfig, Recipe, RecipeError
from imse.train.schedule import learning_rate
from imse.train.trainer import Trainer, make_fabric


@contextmanager
def running(recipe: Recipe, *, resume: bool = False) -> Iterator[Run]:
    run = Run(recipe, make_fabric(recipe), resume=resume)
    try:
        yield run
    finally:
        run.trainer.close()


def flat(content: Any, name: str = "") -> dict[str, Any]:
    """Nested state as one mapping from path to tensor or number."""
    if isinstance(content, dict):
        return {path: leaf for key, part in content.items() for path, leaf in flat(part, f"{name}/{key}").items()}
    if isinstance(content, list | tuple):
        return {path: leaf for i, part in enumerate(content) for path, leaf in flat(part, f"{name}/{i}").items()}
    return {name: content}


def assert_equal_bit_for_bit(first: dict[str, Any], second: dict[str, Any]) -> None:
    ours, theirs = flat(first), flat(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if isinstance(value, torch.Tensor):
            # Equal nan: what PESQ cannot score.
            torch.testing.assert_close(value, theirs[name], rtol=0, atol=0, equal_nan=True, msg=name)
        else:
            assert value == theirs[name], name


@pytest.mark.parametrize("kind", ["recipe", "adversarial"])
def test_four_steps_are_two_and_two(kind: str, request: pytest.FixtureRequest) -> None:
    recipe: Recipe = request.getfixturevalue(kind)
    with running(recipe) as whole:
        losses = [whole.trainer.train_step(step / 4) for step in range(4)]
        expected = whole.trainer.state_dict()
    with running(recipe) as first:
        for step in range(2):
            first.trainer.train_step(step / 4)
        first.save()
    with running(recipe, resume=True) as second:
        assert second.progress == 0.5
        resumed = [second.trainer.train_step(step / 4) for step in (2, 3)]
        assert_equal_bit_for_bit(second.trainer.state_dict(), expected)
    for once, again in zip(losses[2:], resumed, strict=True):
        assert {name: float(value) for name, value in once.items()} == {n: float(v) for n, v in again.items()}


def test_the_discriminator_learns_and_the_network_feels_it(adversarial: Recipe) -> None:
    only_metric = replace(adversarial, loss=LossConfig(magnitude=0, phase=0, complex=0, metric=1, pesq_workers=1))
    with running(only_metric) as run:
        parameters = flat(run.trainer.state_dict())
        before = {name: value.clone() for name, value in parameters.items() if name.endswith("weight")}
        first, second = (run.trainer.train_step(0.0) for _ in range(2))
        after = flat(run.trainer.state_dict())
    assert "discriminator" not in first
    assert second["discriminator"].isfinite()
    for part in ("/network/", "/adversary/discriminator/"):
        assert any(not torch.equal(value, after[name]) for name, value in before.items() if name.startswith(part))


def test_a_run_validates_keeps_its_best_and_leaves_traces(recipe: Recipe) -> None:
    recipe = replace(recipe, validation=replace(recipe.validation, interval=2, metric="si_sdr_db"))
    with running(recipe) as run:
        run.train()
    folder = Path(recipe.run.folder)
    network, metadata = load_with_metadata(folder / BEST)
    assert network.config == recipe.network
    assert metadata["steps"] in ("2", "4")
    assert torch.load(folder / LAST, weights_only=True)["trainer"]["step"] == 4
    assert list((folder / "events").iterdir())
    assert json.loads((folder / "recipe.json").read_text())["name"] == "default"


def test_where_nothing_can_be_scored_the_last_weights_are_kept(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imse.train.validation.metrics", lambda _: {})
    with running(replace(recipe, validation=replace(recipe.validation, interval=2))) as run:
        assert load_with_metadata(run.train())[1]["steps"] == "4"


def test_a_network_that_has_diverged_ends_the_run_in_one_line(recipe: Recipe) -> None:
    with running(recipe) as run:
        for parameter in (*run.trainer.network.parameters(), *run.trainer.exported_network.parameters()):
            parameter.data.fill_(torch.nan)
        with pytest.raises(ImseError, match=r"the network in training: .*not finite"):
            run.validate(Board(Path(recipe.run.folder), active=False))
        with pytest.raises(ImseError, match=r"not finite; lower optim\.lr"):
            run.train()  # without a validation
        assert not (Path(recipe.run.folder) / BEST).exists()


def test_a_run_starts_from_given_weights_of_its_network(recipe: Recipe, small_weights: Path) -> None:
    given = replace(recipe, run=replace(recipe.run, start_from=str(small_weights)))
    with running(given) as run:
        assert_equal_bit_for_bit(run.trainer.network.state_dict(), load(small_weights).state_dict())
    with pytest.raises(RecipeError, match="another network"):
        Run(replace(given, network=replace(given.network, channels=16)), make_fabric(given))


@pytest.mark.parametrize(("attention", "embedding"), [("mala", "idconv"), ("met", "de")])
def test_a_deeper_network_starts_as_the_one_it_grew_from(attention: str, embedding: str) -> None:
    torch.manual_seed(5)
    network = Network(NetworkConfig(channels=8, blocks=1, attention=attention, embedding=embedding)).eval()
    deeper = deepen(network, 3)
    spectrum = torch.rand(2, 256, 9), torch.rand(2, 256, 9)
    with torch.no_grad():
        for ours, expected in zip(deeper(*spectrum), network(*spectrum), strict=True):
            torch.testing.assert_close(ours, expected)
    deeper.train()
    magnitude, phase = deeper(*spectrum)
    (magnitude.sum() + phase.sin().sum()).backward()
    grown = deeper.unet.latent.blocks[2]
    assert isinstance(grown, Block)
    assert grown.ffn.project_out.weight.grad is not None
    assert grown.ffn.project_out.weight.grad.abs().max() > 0


def test_a_run_starts_from_weights_with_fewer_blocks(recipe: Recipe, small_weights: Path) -> None:
    deep = replace(recipe, network=replace(recipe.network, blocks=2))
    with running(replace(deep, run=replace(deep.run, start_from=str(small_weights)))) as run:
        assert run.trainer.network.config.blocks == 2
        assert run.trainer.train_step(0.0)["magnitude"].isfinite()


def test_pesq_is_not_needed_without_the_discriminator(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pesq", None)
    with running(recipe) as run:
        assert run.trainer.train_step(0.0)["magnitude"].isfinite()


def test_resume_errors_say_why(recipe: Recipe) -> None:
    with pytest.raises(ResumeError, match="no such checkpoint"):
        Run(recipe, make_fabric(recipe), resume=True)
    with running(recipe) as run:
        run.save()
    with pytest.raises(ResumeError, match="holds a run already"):
        Run(recipe, make_fabric(recipe))
    other = replace(recipe, optim=replace(recipe.optim, lr=1.0))
    with pytest.raises(ResumeError, match=r"optim\.lr"):
        Run(other, make_fabric(other), resume=True)
    longer = replace(recipe, optim=replace(recipe.optim, steps=9))
    with running(longer, resume=True) as run:
        assert run.progress == 0
    checkpoint = Path(recipe.run.folder) / LAST
    checkpoint.write_bytes(checkpoint.read_bytes()[:1_000])
    with pytest.raises(ResumeError, match="damaged"):
        Run(recipe, make_fabric(recipe), resume=True)


def test_what_a_checkpoint_s_recipe_does_not_know_has_its_default(recipe: Recipe) -> None:
    with running(recipe) as run:
        run.save()
    path = Path(recipe.run.folder) / LAST
    content = torch.load(path, weights_only=True)
    del content["recipe"]["teacher"], content["recipe"]["data"]["speech_shares"]
    torch.save(content, path)
    with running(recipe, resume=True) as run:
        assert run.progress == 0
    other = replace(recipe, data=replace(recipe.data, speech_shares={"voices": 1.0}))
    with pytest.raises(ResumeError, match=r"data\.speech_shares\.voices"):
        Run(other, make_fabric(other), resume=True)


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.save({"step": 1}, tmp_path)
    before = (tmp_path / LAST).read_bytes()

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)  # all is written, but not yet under its name
    with pytest.raises(KeyboardInterrupt):
        state.save({"step": 2}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [LAST]
    assert (tmp_path / LAST).read_bytes() == before


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_checkpoint(manifest: Path, tmp_path: Path) -> None:
    recipe, last = tmp_path / "recipe.toml", tmp_path / "run" / LAST
    recipe.write_text(
        f"""
        network = {{ channels = 8, blocks = 1 }}
        data = {{ manifest = "{manifest}", held_out_speakers = ["eve"], held_out_noises = ["street"] }}
        loss = {{ metric = 0.0 }}
        optim = {{ steps = 1_000_000, segment_samples = 2_000 }}
        validation = {{ interval = 0 }}
        run = {{ folder = "{last.parent}", accelerator = "cpu", checkpoint_minutes = 0, log_interval = 1 }}
        """
    )
    command = [sys.executable, "-m", "imse", "train", str(recipe), "--set", "seed=5"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not last.exists() and process.poll() is None:
            time.sleep(0.05)
        process.kill()
    step: int = torch.load(last, weights_only=True)["trainer"]["step"]
    steps = ["--set", f"optim.steps={step + 2}"]
    result = CliRunner().invoke(app, ["train", str(last.parent), "--resume", *steps])
    assert result.exit_code == 0, result.output
    *_, outcome = result.stdout.splitlines()
    assert outcome == f"{last.parent / BEST}: the weights of step {step + 2} of {step + 2}; none was validated"
    result = CliRunner().invoke(app, ["train", str(recipe), "--resume", *steps])  # without the seed
    assert result.exit_code == 0, result.output
    assert "differs in seed" in result.stderr


def test_an_interrupted_run_is_saved_after_a_whole_step(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(replace(recipe, run=replace(recipe.run, folder=f"{recipe.run.folder}_whole"))) as whole:
        whole.train()
        expected = whole.trainer.state_dict()
    step = Trainer.train_step

    def interrupted(trainer: Trainer, progress: float) -> dict[str, torch.Tensor]:
        if trainer.step == 1:
            signal.raise_signal(signal.SIGINT)
        return step(trainer, progress)

    with monkeypatch.context() as patch, running(recipe) as first:
        patch.setattr(Trainer, "train_step", interrupted)
        with pytest.raises(Interrupted):
            first.train()
        assert first.trainer.step == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with running(recipe, resume=True) as second:
        second.train()
        assert_equal_bit_for_bit(second.trainer.state_dict(), expected)


def test_a_second_interrupt_breaks_the_step_and_keeps_the_checkpoint_before(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted_twice(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "train_step", interrupted_twice)
    with running(recipe) as run:
        with pytest.raises(KeyboardInterrupt) as error:
            run.train()
        assert not isinstance(error.value, Interrupted)
    assert not (Path(recipe.run.folder) / LAST).exists()


def test_a_device_that_is_not_there_is_an_error(recipe: Recipe) -> None:
    run = replace(recipe.run, accelerator="mps" if torch.cuda.is_available() else "cuda")
    with pytest.raises(RecipeError, match=rf"run\.accelerator: .*'{run.accelerator}'"):
        make_fabric(replace(recipe, run=run))


def test_learning_rates(recipe: Recipe) -> None:
    cosine = replace(recipe.optim, lr=1.0, warmup_steps=10)
    assert learning_rate(cosine, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(cosine, 50, 0.5) == pytest.approx(0.5)
    assert learning_rate(cosine, 100, 1.0) == pytest.approx(0)
    paper = replace(cosine, schedule="exponential", warmup_steps=0, decay=0.99, decay_steps=10)
    assert learning_rate(paper, 9, 0.1) == 1
    assert learning_rate(paper, 25, 0.1) == pytest.approx(0.99**2)
