"""A teacher's output is the target of the rows that it teaches, and of no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from imse.checkpoint import CheckpointError, load
from imse.nn.spectrum import analyse, synthesise
from imse.train.check import ResumeError
from imse.train.loop import Run
from imse.train.manifest import split_data
from imse.train.mixing import Batch
from imse.train.recipe import DataConfig, Recipe, RecipeError, TeacherConfig
from imse.train.recipe_file import read
from imse.train.teacher import Teacher
from imse.train.trainer import make_fabric

CPU = torch.device("cpu")


@pytest.fixture
def batch() -> Batch:
    draw = torch.Generator().manual_seed(0)
    noisy, clean = torch.randn(2, 3, 4_000, generator=draw)
    return Batch(noisy, clean, taught=torch.tensor([True, False, True]))


@pytest.fixture
def estimate(small_weights: Path, batch: Batch) -> Tensor:
    """Output of the teacher for each row."""
    with torch.no_grad():
        magnitude, phase = load(small_weights)(*analyse(batch.noisy))
    return synthesise(magnitude, phase, 4_000)


@pytest.mark.parametrize("share", [1.0, 0.25, 0.0])
def test_the_target_has_the_teacher_s_share(small_weights: Path, batch: Batch, estimate: Tensor, share: float) -> None:
    before = batch.clean.clone()
    taught = Teacher(TeacherConfig(str(small_weights), share=share), CPU)(batch)
    expected = share * estimate + (1 - share) * batch.clean
    torch.testing.assert_close(taught.clean[batch.taught], expected[batch.taught], atol=1e-4, rtol=1e-4)
    assert torch.equal(taught.clean[~batch.taught], batch.clean[~batch.taught])
    assert torch.equal(taught.noisy, batch.noisy)
    assert torch.equal(batch.clean, before)
    assert not taught.clean.requires_grad


def test_where_it_teaches_nothing_the_batch_is_as_it_was(small_weights: Path, batch: Batch) -> None:
    none = replace(batch, taught=torch.zeros(3, dtype=torch.bool))
    assert Teacher(TeacherConfig(str(small_weights)), CPU)(none) is none


def test_a_run_learns_from_its_teacher(recipe: Recipe, small_weights: Path, tmp_path: Path) -> None:
    def first_loss(teacher: TeacherConfig) -> float:
        run = Run(replace(recipe, teacher=teacher), make_fabric(recipe))
        return float(run.trainer.train_step(0.0)["magnitude"])

    weights = str(small_weights)
    alone = first_loss(TeacherConfig())
    assert first_loss(TeacherConfig(weights)) != alone
    assert first_loss(TeacherConfig(weights, sources=("voices",))) == first_loss(TeacherConfig(weights))
    assert first_loss(TeacherConfig(weights, share=0.0)) == alone
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"damaged\.safetensors"):
        first_loss(TeacherConfig(str(damaged)))


@pytest.mark.parametrize("source", ["voice", "noises"])
def test_a_source_that_has_no_speech_is_an_error(recipe: Recipe, small_weights: Path, source: str) -> None:
    wrong = replace(recipe, teacher=TeacherConfig(str(small_weights), sources=("voices", source)))
    with pytest.raises(RecipeError, match=rf"teacher\.sources: .*'{source}'"):
        split_data(wrong)


def test_a_teacher_of_sources_needs_a_manifest(recipe: Recipe, small_weights: Path) -> None:
    pairs = DataConfig(clean="clean", noisy="noisy")
    with pytest.raises(RecipeError, match=r"teacher\.sources: pairs"):
        split_data(replace(recipe, data=pairs, teacher=TeacherConfig(str(small_weights), sources=("voices",))))


@pytest.mark.parametrize("setting", ['sources=["voices"]', "share=0.5"])
def test_settings_of_a_teacher_need_its_weights(tmp_path: Path, setting: str) -> None:
    path = tmp_path / "recipe.toml"
    path.touch()
    with pytest.raises(RecipeError, match=r"teacher: .*weights"):
        read(path, [f"teacher.{setting}"])


def test_a_run_does_not_go_on_with_another_teacher(recipe: Recipe, small_weights: Path) -> None:
    Run(recipe, make_fabric(recipe)).save()
    other = replace(recipe, teacher=TeacherConfig(str(small_weights)))
    with pytest.raises(ResumeError, match=r"teacher\.weights"):
        Run(other, make_fabric(other), resume=True)
