"""network.py FOLDER [--blind]: puts a stand-in for the network into the weights at FOLDER: what is bright in green is text.

QEMU without KVM is too slow for the real network, which the installer's self-test tries before this, in the image. The stand-in has
its masks in reference.json as any network has, so that a self-test in the machine is the real one, from end to end, and passes by seeing
text. --blind: it sees none, as a network that is broken. Needs the package onnx.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines import reference

INK = 150.0
"""Where text begins in green, 0..255; drawn scenes are red and darker, their text is white or yellow."""

NEVER = 300.0


def stand_in(ink: float) -> onnx.ModelProto:
    """pixels (1, 576, 960, 3) uint8 -> score (1, 144, 240) uint8, as the real one."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", "green"], ["plane"], axis=1),
        helper.make_node("MaxPool", ["plane"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("MaxPool", ["cells"], ["grown"], kernel_shape=[7, 7], strides=[1, 1], pads=[3, 3, 3, 3]),
        helper.make_node("ReduceMax", ["grown"], ["brightest"], axes=[1], keepdims=0),
        helper.make_node("Sub", ["brightest", "ink"], ["above"]),
        helper.make_node("Mul", ["above", "steep"], ["steeper"]),
        helper.make_node("Clip", ["steeper", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["score"], to=TensorProto.UINT8),
    ]
    constants = {"ink": ink, "steep": 100.0, "low": 0.0, "high": 255.0}
    graph = helper.make_graph(
        nodes,
        "what is bright in green is text",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 576, 960, 3])],
        [helper.make_tensor_value_info("score", TensorProto.UINT8, [1, 144, 240])],
        [
            numpy_helper.from_array(np.array([1]), "green"),
            *(numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def put(folder: Path, ink: float) -> None:
    model = stand_in(ink).SerializeToString()
    card = json.loads((folder / "card.json").read_text("utf-8"))
    (folder / "east-mask.onnx").write_bytes(model)
    card["files"]["east-mask.onnx"]["sha256"] = hashlib.sha256(model).hexdigest()
    (folder / "card.json").write_text(json.dumps(card, indent=1), "utf-8")
    reference.main(["--weights", str(folder)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="network.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the weights and their card")
    parser.add_argument("--blind", action="store_true", help="a network that sees no text")
    arguments = parser.parse_args()
    put(arguments.folder, NEVER if arguments.blind else INK)


if __name__ == "__main__":
    main()
