"""Compute the masks that every engine is held against, from the shipped FP32 weights on the CPU: engines/weights/reference.json.

    python -m engines.reference

Run it whenever the weights change; a test fails until it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from appliance.engine import reference
from appliance.engine.model import WEIGHTS, load_model
from appliance.types import Cells, Mode

MODES: tuple[Mode, ...] = ("mask", "boxes")


def masks_of(model: Path, size: tuple[int, int], threshold: int) -> list[Cells]:
    """The model's masks in FP32, whatever the processor would rather take."""
    import openvino as ov

    compiled = ov.Core().compile_model(str(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    frames = [reference.frame(seed, size).pixels for seed in reference.SEEDS]
    return [np.asarray(compiled(pixels[None])["score"])[0] >= threshold for pixels in frames]


def size_of(model: Path) -> tuple[int, int]:
    """(height, width) of the model's input."""
    import openvino as ov

    _, height, width, _ = ov.Core().read_model(str(model)).input("pixels").shape
    return int(height), int(width)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.reference", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the weights and their card")
    weights = parser.parse_args(arguments).weights
    models = [load_model(mode, weights) for mode in MODES]
    size = size_of(models[0].path)
    made = {model.sha256: (model.threshold, masks_of(model.path, size, model.threshold)) for model in models}
    print(reference.save(weights, size, made))


if __name__ == "__main__":
    main()
