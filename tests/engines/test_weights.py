"""What is committed under engines/weights: complete, described truthfully, not trained on the evaluation pictures."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from engines.card import TRAINED_KINDS
from engines.trained_on import LIST_FILE, hash_folder, read_list, same

WEIGHTS = Path(__file__).resolve().parents[2] / "engines" / "weights"
SHARED = Path(os.environ.get("ANONBOX_SHARED", Path(__file__).resolve().parents[3] / "shared"))


@pytest.fixture(scope="module")
def card():
    return json.loads((WEIGHTS / "card.json").read_text(encoding="utf-8"))


VARIANTS = ["east-mask-uint8.onnx", "east-mask-int8.onnx", "east-mask-fp16.onnx", "east-mask-int8-fp16.onnx"]


@pytest.mark.parametrize("name", ["east-mask.onnx", "east-boxes.onnx", *VARIANTS])
def test_hashes_match(card, name):
    content = (WEIGHTS / name).read_bytes()
    entry = card["files"][name]
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert len(content) == entry["bytes"] < 20_000_000
    height, width = entry["input"][1:3]
    assert entry["outputs"]["score"] == [1, height // 4, width // 4]


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_were_made_from_the_weights_that_are_there(card, name):
    assert card["files"][name]["made_from"] == card["files"]["east-mask.onnx"]["sha256"], (
        "stale: python -m engines.quantize engines/weights"
    )


def test_no_file_lies_there_that_the_card_does_not_name(card):
    assert {path.name for path in WEIGHTS.glob("*.onnx")} == set(card["files"])


def test_card_says_how_and_from_what(card):
    assert {"name", "created", "files", "training", "data", "threshold", "scores"} <= set(card)
    assert 1 <= card["threshold"] <= 255
    assert all(command.startswith("python -m engines.train ") for command in card["training"]["commands"])
    assert card["training"]["steps"] > 0
    assert all({"name", "kind", "licence", "count"} <= set(entry) for entry in card["data"])
    assert all("command" in scores for scores in card["scores"].values())


def test_every_picture_that_was_trained_on_is_listed(card):
    names = [one.name for one in read_list(WEIGHTS / LIST_FILE)]
    excluded = set(card["training"]["recipe"]["data"]["exclude"])
    pictures = sum(entry["count"] for entry in card["data"] if entry["kind"].startswith(TRAINED_KINDS))
    assert len(names) == len(set(names)) == pictures - len(excluded)
    assert not excluded & set(names)


def test_no_evaluation_picture_was_trained_on():
    pictures = SHARED / "eval" / "images"
    if not pictures.is_dir():
        pytest.skip(f"no evaluation pictures at {pictures}")
    evaluated = hash_folder(pictures)
    assert len(evaluated) >= 50
    assert same(evaluated, read_list(WEIGHTS / LIST_FILE)) == []
