"""The shipped models: found beside their card, and used only when their bytes are the ones the card names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.errors import BadConfig
from appliance.types import Look, Mode, Precision

WEIGHTS = Path(__file__).parents[2] / "engines" / "weights"
RESTORE = "restore it with git checkout engines/weights"
MODEL_FILES: dict[Mode, str] = {"mask": "east-mask.onnx", "boxes": "east-boxes.onnx"}
INT8_FILES: dict[Mode, str] = {"mask": "east-mask-uint8.onnx"}
"""For OpenVINO, which multiplies uint8 by int8; TensorRT finds its own files beside the floats."""


@dataclass(frozen=True)
class Model:
    """A model file whose hash was checked.

    path : the ONNX file
    sha256 : hex digest of its bytes
    threshold : score from which a cell counts as text in the first look, 1..255, as its card recommends
    again : how its card recommends to look at a finished picture
    """

    path: Path
    sha256: str
    threshold: int
    again: Look


def load_model(mode: Mode, folder: Path = WEIGHTS, precision: Precision = "float") -> Model:
    """Find the model for `mode` and check it against card.json. Raises BadConfig on any difference: never a model by guess."""
    files = INT8_FILES if precision == "int8" else MODEL_FILES
    if mode not in files:
        raise BadConfig("engine.precision", f"is {precision}, which the network for mode {mode} does not come in; choose auto or float")
    path, card_path = folder / files[mode], folder / "card.json"
    try:
        card: dict[str, Any] = json.loads(card_path.read_text("utf-8"))
        entry = card["files"][path.name]
        expected, threshold = str(entry["sha256"]), int(card["threshold"])
        again = Look(int(card["again"]["threshold"]), bool(card["again"]["stretched"]))
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadConfig("weights", f"{error.filename} cannot be read ({error.strerror}); {RESTORE}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadConfig("weights", f"{card_path} does not describe {path.name}: {error!r}") from error
    if actual != expected:
        raise BadConfig("weights", f"{path} has SHA-256 {actual[:12]}…, its card says {expected[:12]}…; {RESTORE}")
    return Model(path, actual, threshold, again)
