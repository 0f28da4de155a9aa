"""The network, its losses and a tiny training: shapes, sizes, a falling loss, an exact resume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tqdm")

import torch

from engines import train as training
from engines.east import East, EastSize, parameter_count
from engines.losses import geometry_losses, score_losses
from engines.recipe import Recipe, Schedule, from_dict, read_recipe
from engines.synth.backgrounds import Backgrounds
from engines.synth.fonts import BUILT_IN, FontBook
from engines.synth.screens import Mix

pytestmark = pytest.mark.train

TINY = Recipe(
    schedule=Schedule(steps=24, batch=4, side=128, warmup=4, rate=4e-3, save_every=8, ema=0.9, bf16=False, compiled=False),
    mix=Mix(text_free=0.1, decoys=0.1, degraded=0.3),
    network={"stem": 16, "widths": (16, 16, 16, 16), "blocks": (1, 1, 1, 1), "merge": (16, 16, 16)},
)
MATERIAL = training.Material(FontBook.of((BUILT_IN,)), Backgrounds())
RECIPES = Path(training.__file__).parent / "recipes"


@pytest.mark.parametrize(
    ("size", "low", "high"), [(EastSize.slim(), 0.6e6, 1.2e6), (EastSize.lean(), 0.6e6, 0.8e6), (EastSize.paper(), 23e6, 26e6)]
)
def test_maps_are_a_quarter_of_the_picture(size, low, high):
    network = East(size).eval()
    assert low < parameter_count(network) < high
    with torch.inference_mode():
        score, geometry = network(torch.zeros(1, 3, 64, 128))
    assert score.shape == (1, 1, 16, 32)
    assert geometry.shape == (1, 5, 16, 32)
    assert geometry[:, :4].min() > 0
    assert geometry[:, 4].abs().max() < np.pi / 4


def test_odd_widths_are_refused():
    with pytest.raises(ValueError, match="8 channels"):
        EastSize(stem=8)
    with pytest.raises(ValueError, match="stride is 3"):
        EastSize(stem_stride=3)
    with pytest.raises(ValueError, match="3 steps of the merge"):
        EastSize(merge=(64, 32, 32, 16))


@pytest.mark.parametrize(("size", "gmac", "widest"), [(EastSize.slim(), 2.15, 480), (EastSize.lean(), 0.86, 240)])
def test_a_network_costs_what_it_says(size, gmac, widest):
    """On the product's canvas; the lean one runs nothing at full or half resolution."""
    network, counts = East(size).eval(), []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda one, _, out: counts.append((out.shape[-1], out[0, 0].numel() * one.weight.numel())))
    with torch.inference_mode():
        network(torch.zeros(1, 3, 576, 960))
    assert sum(count for _, count in counts) == pytest.approx(gmac * 1e9, rel=0.01)
    assert max(width for width, _ in counts) == widest


def test_dice_is_zero_for_the_right_answer_and_one_for_the_opposite():
    score = torch.zeros(2, 8, 8)
    score[0, 2:6, 2:6] = 1
    weight = torch.ones_like(score)
    right, wrong = (score_losses(20 * sign * (score * 2 - 1), score, weight) for sign in (1, -1))
    assert right[0] < 1e-3
    assert right[1] < 1e-3
    assert wrong[0] > 0.9
    assert wrong[1] > 10


def test_cells_without_weight_say_nothing():
    score, weight = torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)
    dice, cross = score_losses(torch.full((1, 8, 8), 9.0), score, weight)
    assert cross == 0
    assert dice < 1e-6


def test_geometry_losses_vanish_for_the_right_box():
    box = torch.tensor([[4.0, 20.0, 6.0, 10.0, 0.1]])
    overlap, angle = geometry_losses(box, box, torch.ones(1))
    assert overlap.abs() < 1e-6
    assert angle.abs() < 1e-6
    worse, turned = geometry_losses(box * 2, box, torch.ones(1))
    assert worse > 1
    assert turned > 0


def test_every_recipe_reads_and_unknown_keys_are_refused():
    for path in RECIPES.glob("*.toml"):
        recipe = read_recipe(path)
        assert from_dict(recipe.as_dict()) == recipe
    with pytest.raises(ValueError, match="no key 'stepz'"):
        from_dict({"schedule": {"stepz": 3}})
    with pytest.raises(ValueError, match=r"no section \[more\]"):
        from_dict({"more": {}})


def test_training_lowers_the_loss_and_resumes_exactly(tmp_path: Path):
    torch.set_num_threads(1)
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    for out in (whole, halves):
        out.mkdir()
    run = training.train(training.new_run(TINY), whole, MATERIAL, workers=0)
    first = [row["total"] for row in run.rows]
    training.train(training.new_run(TINY), halves, MATERIAL, workers=0, stop_at=11)
    again = training.train(training.restore(halves / "checkpoint.pt"), halves, MATERIAL, workers=0)
    assert again.step == run.step == 24
    assert first[-1] < first[0]
    for one, other in zip(run.network.state_dict().values(), again.network.state_dict().values()):
        assert torch.equal(one, other)
    for one, other in zip(run.average.state_dict().values(), again.average.state_dict().values()):
        assert torch.equal(one, other)
    assert (whole / "loss.csv").read_text().startswith("step,total")
    assert (whole / "loss.png").exists()


def test_command_trains_and_goes_on(tmp_path: Path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text("[schedule]\nsteps = 4\nbatch = 2\nside = 64\nbf16 = false\ncompiled = false\nsave_every = 2\n")
    fonts = tmp_path / "none"
    fonts.mkdir()
    command = ["--recipe", str(recipe), "--out", str(tmp_path / "run"), "--fonts", str(fonts), "--workers", "0", "--threads", "1"]
    training.main([*command, "--stop-at", "2"])
    training.main(command)
    assert training.restore(tmp_path / "run" / "checkpoint.pt").step == 4
    tune = ["--start", str(tmp_path / "run" / "checkpoint.pt"), "--stop-at", "1"]
    training.main([*command[:3], str(tmp_path / "tuned"), *command[4:], *tune])
    assert training.restore(tmp_path / "tuned" / "checkpoint.pt").step == 1


def test_learning_rate_rises_then_falls():
    rates = [training.learning_rate(TINY, step) for step in range(24)]
    assert int(np.argmax(rates)) in (3, 4)
    assert rates[-1] < 0.05 * max(rates)
