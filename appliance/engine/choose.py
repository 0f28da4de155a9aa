"""Which of the model's files an engine is handed: INT8 where it is faster on this processor and finds what the floats find.

Both are measured at the first start, on the drawn frames of reference.py and against the shipped masks, and what was found is kept
beside the compiled models. TensorRT is always handed floats: it measures which of the files beside them is best.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.engine import EngineOptions, open_engine, openvino, reference
from appliance.engine.model import Model, load_model
from appliance.types import Mode, Precision

log = logging.getLogger("anonbox.engine")

FILE = "precision.json"
ROUNDS = 3
"""How often each frame is run; the fastest counts, for other programs only ever add time."""


@dataclass(frozen=True)
class Trial:
    """ms : a frame, one at a time; agreement : with the shipped masks of the floats"""

    ms: float
    agreement: reference.Agreement


def precision_for(name: str, wanted: str, mode: Mode, cache: Path | None = None) -> Precision:
    """wanted : "float", "int8", or "auto"; cache : where the choice is kept, None measures each time. Raises BadConfig, DeviceLost."""
    if wanted != "auto":
        return "int8" if wanted == "int8" else "float"
    if name != "openvino" or mode != "mask":
        return "float"
    floats, bytes_ = load_model(mode), load_model(mode, precision="int8")
    key = _key(floats, bytes_)
    kept = _kept(cache, key)
    if kept is not None:
        return kept
    # the floats' masks are the reference, so only their time is asked
    trials = {model.path.name: tried(model, floats, cache) for model in (floats, bytes_)}
    one, other = trials[floats.path.name], trials[bytes_.path.name]
    chosen: Precision = "int8" if other.ms < one.ms and other.agreement.holds else "float"
    log.info("%s it is: floats take %.1f ms, INT8 %.1f ms, with %s", chosen, one.ms, other.ms, other.agreement)
    _keep(cache, key, chosen)
    return chosen


def tried(model: Model, floats: Model, cache: Path | None = None) -> Trial:
    """The model's time and masks on the reference frames."""
    expected = reference.load(model.path.parent, floats.sha256)
    with closing(open_engine("openvino", EngineOptions(model.path, model.sha256, slots=1, threads=1, cache=cache))) as engine:
        slot, masks, fastest = engine.slots[0], [], float("inf")
        for shown in expected.frames():
            slot.pixels[...] = shown.pixels
            for _ in range(ROUNDS):
                start = time.perf_counter()
                engine.run(slot)
                fastest = min(fastest, time.perf_counter() - start)
            masks.append(slot.score >= expected.threshold)
    return Trial(1000 * fastest, reference.compare(masks, expected))


def _key(*models: Model) -> list[str]:
    # the same chip is another one when oneDNN is told to leave instructions unused
    return [*(model.sha256 for model in models), *openvino.identity(), os.environ.get("ONEDNN_MAX_CPU_ISA", "")]


def _kept(cache: Path | None, key: list[str]) -> Precision | None:
    if cache is None:
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        note: dict[str, Any] = json.loads((cache / FILE).read_text("utf-8"))
        if note["key"] == key and note["precision"] in ("int8", "float"):
            return "int8" if note["precision"] == "int8" else "float"
    return None


def _keep(cache: Path | None, key: list[str], chosen: Precision) -> None:
    if cache is None:
        return
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = cache / f"{FILE}.{os.getpid()}.part"
        part.write_text(json.dumps({"key": key, "precision": chosen}, indent=1) + "\n", "utf-8")
        os.replace(part, cache / FILE)
    except OSError as error:
        log.warning("the choice of precision cannot be kept in %s: %s; every start measures anew", cache, error.strerror)
