"""network.py FOLDER: puts a stand-in for the network into the weights at FOLDER: what is white is text.

QEMU without KVM takes minutes for one look of the real network. Everything else of the machine stays what it is; the real network is
tried by the installer's self-test, which runs before this. Needs the package onnx.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WHITE = 220.0
"""Where text begins, 0..255; drawn pictures are darker elsewhere."""


def stand_in() -> onnx.ModelProto:
    """pixels (1, 576, 960, 3) uint8 -> score (1, 144, 240) uint8, as the real one."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("MaxPool", ["planes"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("MaxPool", ["cells"], ["grown"], kernel_shape=[7, 7], strides=[1, 1], pads=[3, 3, 3, 3]),
        helper.make_node("ReduceMin", ["grown"], ["darkest"], axes=[1], keepdims=0),
        helper.make_node("Sub", ["darkest", "white"], ["above"]),
        helper.make_node("Mul", ["above", "steep"], ["steeper"]),
        helper.make_node("Clip", ["steeper", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["score"], to=TensorProto.UINT8),
    ]
    constants = {"white": WHITE, "steep": 100.0, "low": 0.0, "high": 255.0}
    graph = helper.make_graph(
        nodes,
        "white is text",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 576, 960, 3])],
        [helper.make_tensor_value_info("score", TensorProto.UINT8, [1, 144, 240])],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def put(folder: Path) -> None:
    model = stand_in().SerializeToString()
    card = json.loads((folder / "card.json").read_text("utf-8"))
    (folder / "east-mask.onnx").write_bytes(model)
    card["files"]["east-mask.onnx"]["sha256"] = hashlib.sha256(model).hexdigest()
    (folder / "card.json").write_text(json.dumps(card, indent=1), "utf-8")


if __name__ == "__main__":
    put(Path(sys.argv[1]))
