"""The reference masks belong to the weights that are there; run `python -m engines.reference` when this fails."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from appliance.engine import reference
from appliance.engine.model import WEIGHTS, load_model
from appliance.errors import BadConfig
from appliance.types import Mode
from engines.reference import MODES, main, masks_of, size_of


@pytest.mark.parametrize("mode", MODES)
def test_it_is_not_stale(mode: Mode) -> None:
    """FP32 on another processor may round a cell at the threshold to the other side, no more."""
    model = load_model(mode)
    known = reference.load(WEIGHTS, model.sha256)
    assert (known.threshold, known.size) == (model.threshold, size_of(model.path))
    agreement = reference.compare(masks_of(model.path, known.size, known.threshold), known)
    assert agreement.overlap > 0.998 and not agreement.missed, f"stale: python -m engines.reference ({agreement})"


@pytest.mark.parametrize("path", sorted(WEIGHTS.glob("east-mask-*.onnx")), ids=lambda path: path.stem)
def test_the_variants_see_what_it_sees(path: Path) -> None:
    """On the CPU, which rounds in other places than a GPU: a variant that fails here was made wrong. Whether one is good enough to be
    used is decided on the device, at reference.AGREES_FROM."""
    known = reference.load(WEIGHTS, load_model("mask").sha256)
    agreement = reference.compare(masks_of(path, known.size, known.threshold), known)
    assert agreement.overlap > 0.97 and not agreement.missed, agreement


def test_it_holds_these_models_and_no_others() -> None:
    models = json.loads((WEIGHTS / "reference.json").read_text("utf-8"))["models"]
    assert set(models) == {load_model(mode).sha256 for mode in MODES}, "stale: python -m engines.reference"


def test_the_network_covers_the_planted_text() -> None:
    """Otherwise the reference could not tell a good engine from a blind one."""
    known = reference.load(WEIGHTS, load_model("mask").sha256)
    blind = [np.zeros_like(mask) for mask in known.masks]
    assert reference.compare(blind, known).missed >= 0.9 * sum(len(frame.boxes) for frame in known.frames())


def test_frames_are_the_same_every_time_and_differ_from_each_other() -> None:
    reference.frame.cache_clear()
    first = [reference.frame(seed, (576, 960)).pixels for seed in reference.SEEDS]
    reference.frame.cache_clear()
    again = [reference.frame(seed, (576, 960)).pixels for seed in reference.SEEDS]
    assert all(np.array_equal(*pair) for pair in zip(first, again))
    assert len({pixels.tobytes() for pixels in first}) == len(first)


def test_one_missed_line_is_too_many() -> None:
    known = reference.load(WEIGHTS, load_model("mask").sha256)
    top, left, _, _ = known.frames()[0].boxes[0]
    masks = [mask.copy() for mask in known.masks]
    masks[0][top // 4, left // 4] = False
    agreement = reference.compare(masks, known)
    assert (agreement.lost, agreement.added, agreement.missed, agreement.holds) == (1, 0, 1, False)
    assert reference.compare(known.masks, known) == reference.Agreement(1.0, 0, 0, 0)
    assert not replace(reference.compare(known.masks, known), overlap=0.98).holds


def test_other_weights_have_no_reference(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"made for other weights.*python -m engines\.reference"):
        reference.load(WEIGHTS, "0" * 64)
    with pytest.raises(BadConfig, match="cannot be read"):
        reference.load(tmp_path, "0" * 64)


def test_the_command_writes_what_is_shipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in WEIGHTS.iterdir():
        if path.name != "reference.json":
            (tmp_path / path.name).symlink_to(path)
    main(["--weights", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path / 'reference.json'}\n"
    made, shipped = (json.loads((folder / "reference.json").read_text("utf-8")) for folder in (tmp_path, WEIGHTS))
    assert made.keys() == shipped.keys() and made["models"].keys() == shipped["models"].keys()
