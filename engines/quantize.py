"""Write the INT8 and FP16 variants of an exported mask network beside it, and put them into its card.

    python -m engines.quantize engines/weights

east-mask-uint8.onnx      FP32 and Q/DQ with uint8 between the layers, opset 17: OpenVINO, whose products are of uint8 and int8. After a
                          ReLU no step is spent on negative values, so its scores lie closest to the floats'. Weights have 7 bits:
                          a processor without VNNI adds two products in 16 bits, and 255 x 64 + 255 x 64 is below 32768
east-mask-int8.onnx       FP32 and explicit Q/DQ, opset 17: TensorRT 8.6 and 10.3 (their FP16 and INT8 flags do the rest)
east-mask-fp16.onnx       FP16 throughout, opset 19: strongly typed TensorRT (10.12 and later)
east-mask-int8-fp16.onnx  FP16 and explicit Q/DQ with FP16 scales, opset 19: the same

Weights are symmetric int8, one scale a channel; what flows has one scale a tensor, found on drawn screens, and is symmetric int8 too
but for OpenVINO. Q/DQ stand where TensorRT wants them: on what goes into a convolution, on the shortcut of a residual sum and not on
its other side (so that convolution, sum and ReLU become one kernel), behind a Concat, which so has one scale for all its inputs. The
score head and everything around the network (normalisation, sigmoid, growth) are not quantised.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper, version_converter
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from tqdm import tqdm

from engines.card import CARD_FILE, MASK_FILE, add_variants, read_card, variant_card
from engines.synth.backgrounds import Backgrounds
from engines.synth.canvas import Picture
from engines.synth.fonts import FontBook, find_faces, system_faces
from engines.synth.screens import ASPECTS, draw_screen

UINT8_FILE, INT8_FILE = "east-mask-uint8.onnx", "east-mask-int8.onnx"
FP16_FILE, INT8_FP16_FILE = "east-mask-fp16.onnx", "east-mask-int8-fp16.onnx"
HALF_OPSET = 19  # the first whose Q/DQ take FP16 scales
KEPT = ("/network/score/",)
QUANTISED = ["Conv", "Add"]
PERCENTILE = 99.9999  # of what flows that a scale reaches; on 120 drawn screens entropy lost 0.011 recall, the extremes 0.010, this none
SETTINGS = {
    "CalibPercentile": PERCENTILE,
    "WeightSymmetric": True,
    "QuantizeBias": False,  # TensorRT takes no int32 bias
    "OpTypesToExcludeOutputQuantization": QUANTISED,  # a pair between a convolution and its ReLU would keep them apart
    "CalibStridedMinMax": 1,  # one picture at a time, or all their activations lie in memory at once
}
FOR_TENSORRT = SETTINGS | {
    "ActivationSymmetric": True,  # TensorRT takes no zero point
    "AddQDQPairToWeight": True,  # float weights before Q/DQ: what TensorRT 8.6 takes
    "DedicatedQDQPair": False,
    "QDQDisableWeightAdjustForInt32Bias": True,
}


@dataclass(frozen=True)
class Calibration:
    """The drawn screens that the scales are found on; count : of pictures, of which a fifth are free of text."""

    count: int = 64
    seed: int = 20261124


class Screens(CalibrationDataReader):
    """Drawn screens at the detector's scale, in the canvas's upper left corner as the product lays them out.

    canvas : (height, width) px
    """

    def __init__(self, calibration: Calibration, canvas: tuple[int, int], book: FontBook, store: Backgrounds) -> None:
        self.calibration, self.canvas, self.book, self.store = calibration, canvas, book, store
        self._rest: Iterator[int] = iter(())
        self._bar = tqdm(total=calibration.count, unit="screen", desc="calibrating")

    def __len__(self) -> int:
        return self.calibration.count

    def set_range(self, start_index: int, end_index: int) -> None:
        self._rest = iter(range(start_index, end_index))

    def get_next(self) -> dict[str, Any]:
        """The next input, or nothing."""
        number = next(self._rest, None)
        if number is None:
            return {}
        self._bar.update()
        if self._bar.n == len(self):
            self._bar.close()
        return {"pixels": self.draw(number)[None]}

    def draw(self, number: int) -> Picture:
        """Screen `number`, (h, w, 3) uint8; the same for the same seed, fonts and backgrounds."""
        rng = np.random.default_rng([self.calibration.seed, number])
        aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
        height = min(self.canvas[0], int(self.canvas[1] / aspect))
        shelf = self.book.shelf(self.calibration.seed, number)
        pixels = draw_screen(rng, shelf, self.store, int(height * aspect), height).pixels
        canvas = np.zeros((*self.canvas, 3), np.uint8)
        canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
        return canvas


def read_model(path: Path) -> ModelProto:
    """The exported graph with every constant as an initialiser, which is where the quantiser and TensorRT look for them."""
    model = onnx.load(str(path))
    constants = [node for node in model.graph.node if node.op_type == "Constant"]
    for node in constants:
        value = numpy_helper.to_array(node.attribute[0].t)
        model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        model.graph.node.remove(node)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def quantised(model: ModelProto, screens: CalibrationDataReader, unsigned: bool = False, kept: tuple[str, ...] = KEPT) -> ModelProto:
    """The model with Q/DQ pairs.

    unsigned : uint8 with a zero point for what flows and weights of 7 bits, for OpenVINO; otherwise symmetric int8
    kept : beginnings of the names of nodes that stay in float
    """
    flowing, settings = (QuantType.QUInt8, SETTINGS) if unsigned else (QuantType.QInt8, FOR_TENSORRT)
    left_out = [node.name for node in model.graph.node if node.name.startswith(kept)]
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder) / "float.onnx", Path(folder) / "quantised.onnx"
        onnx.save(model, str(source))  # a model passed as it is would be changed by the quantiser
        with contextlib.redirect_stdout(io.StringIO()):  # it reports every picture
            quantize_static(
                source, path, screens, quant_format=QuantFormat.QDQ, op_types_to_quantize=QUANTISED, per_channel=True,
                reduce_range=unsigned, activation_type=flowing, weight_type=QuantType.QInt8, nodes_to_exclude=left_out,
                calibrate_method=CalibrationMethod.Percentile, extra_options=settings | {"TensorQuantOverrides": _whole_input(model)},
            )  # fmt: skip
        found = onnx.load(str(path))
    free_bodies(found)
    return found


def _whole_input(model: ModelProto) -> dict[str, Any]:
    """The range of the first convolution's input, -1..1 by construction; from pictures it might be found too short for white text."""
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    return {first.input[0]: [{"rmin": np.float32(-1), "rmax": np.float32(1)}]}


def free_bodies(model: ModelProto) -> None:
    """Take the pair away between the convolution and each sum that it goes into first; the second input keeps its own: a block's shortcut,
    or the deeper map in a step of the merge.

    Raises ValueError where a sum is not the residual one of engines.east.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    for add in (node for node in model.graph.node if node.op_type == "Add"):
        kinds, tensor = [], add.input[0]
        for _ in range(2):
            kinds.append(makers[tensor].op_type)
            tensor = makers[tensor].input[0]
        if kinds != ["DequantizeLinear", "QuantizeLinear"] or makers[tensor].op_type != "Conv":
            raise ValueError(f"{add.name}: the first input is no quantised convolution, so this is not the residual sum of engines.east")
        add.input[0] = tensor
    _prune(model)
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)


def _prune(model: ModelProto) -> None:
    """Remove nodes and initialisers whose output nobody takes."""
    while True:
        wanted = {name for node in model.graph.node for name in node.input} | {output.name for output in model.graph.output}
        idle = [node for node in model.graph.node if not wanted & set(node.output)]
        if not idle:
            break
        for node in idle:
            model.graph.node.remove(node)
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in wanted]:
        model.graph.initializer.remove(tensor)


def halved(model: ModelProto) -> ModelProto:
    """The model in FP16 and opset 19, Q/DQ scales and all; its ports keep their types."""
    half: ModelProto = convert_float_to_float16(version_converter.convert_version(model, HALF_OPSET))
    onnx.checker.check_model(half, full_check=True)
    return half


def write_variants(folder: Path, calibration: Calibration, book: FontBook, store: Backgrounds) -> list[Path]:
    """The four files beside east-mask.onnx."""
    model = read_model(folder / MASK_FILE)
    height, width = (dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim[1:3])
    int8, uint8 = (quantised(model, Screens(calibration, (height, width), book, store), unsigned) for unsigned in (False, True))
    files = {UINT8_FILE: uint8, INT8_FILE: int8, FP16_FILE: halved(model), INT8_FP16_FILE: halved(int8)}
    for name, variant in files.items():
        onnx.save(variant, str(folder / name))
    return [folder / name for name in files]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.quantize", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help=f"holds {MASK_FILE} and card.json; the variants are written there")
    parser.add_argument("--count", type=int, default=Calibration.count, help=f"screens to calibrate on (default {Calibration.count})")
    parser.add_argument("--seed", type=int, default=Calibration.seed, help=f"which screens (default {Calibration.seed})")
    parser.add_argument("--fonts", type=Path, action="append", default=[], help="font folder (default: the machine's own fonts)")
    parser.add_argument("--frames", type=Path, help="folder of endoscopic frames without text (default: procedural scenes)")
    args = parser.parse_args(arguments)
    if args.count < 1:
        parser.error(f"--count is {args.count}, must be at least 1")
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser recommends a step that engines.export has done: folding batch norms
    card = read_card(args.folder / CARD_FILE)
    book = FontBook.of(find_faces(args.fonts) if args.fonts else system_faces())
    store = Backgrounds.load(args.frames, None)
    paths = write_variants(args.folder, Calibration(args.count, args.seed), book, store)
    files = {path.name: variant_card(path, card["files"][MASK_FILE]) for path in paths}
    facts = {"screens": args.count, "seed": args.seed, "frames": len(store.frames), "percentile": PERCENTILE, "float": list(KEPT)}
    add_variants(args.folder / CARD_FILE, files, facts)
    for name, entry in files.items():
        print(f"{name}  {entry['sha256']}  {entry['bytes']} bytes")


if __name__ == "__main__":
    main()
