"""The shipped models are the ones their card names, or nothing starts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from appliance.engine.model import MODEL_FILES, WEIGHTS, load_model
from appliance.errors import BadConfig


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))


@pytest.mark.parametrize("mode", ["mask", "boxes"])
def test_the_shipped_models_match_their_card(mode: str) -> None:
    model = load_model(mode)  # type: ignore[arg-type]
    assert model.path.name == MODEL_FILES[mode]  # type: ignore[index]
    assert len(model.sha256) == 64 and 1 <= model.threshold <= 255


def test_a_changed_model_is_refused(weights: Path) -> None:
    path = weights / MODEL_FILES["mask"]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(BadConfig, match="SHA-256"):
        load_model("mask", weights)


def test_a_missing_model_is_refused(weights: Path) -> None:
    (weights / MODEL_FILES["mask"]).unlink()
    with pytest.raises(BadConfig, match="cannot be read"):
        load_model("mask", weights)


@pytest.mark.parametrize("card", ["", "[]", "{}", json.dumps({"files": {}, "threshold": 100})])
def test_a_card_that_says_nothing_is_refused(weights: Path, card: str) -> None:
    (weights / "card.json").write_text(card)
    with pytest.raises(BadConfig, match="does not describe"):
        load_model("mask", weights)
