"""The variants follow TensorRT's rules for explicit quantisation, hold the weights of the FP32 file, and answer like it."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import numpy_helper

from engines.card import CARD_FILE, MASK_FILE, WEIGHTS, read_card
from engines.evaluate.methods import Network
from engines.quantize import FP16_FILE, HALF_OPSET, INT8_FILE, INT8_FP16_FILE, UINT8_FILE, free_bodies, main, read_model
from engines.synth.backgrounds import Backgrounds
from engines.synth.fonts import FontBook, find_faces
from engines.synth.screens import draw_screen

pytestmark = pytest.mark.train
QUANTISED = [INT8_FILE, INT8_FP16_FILE]  # for TensorRT
VARIANTS = [UINT8_FILE, *QUANTISED, FP16_FILE]


class Net:
    """A graph with its makers, takers and constants."""

    def __init__(self, path: Path) -> None:
        self.model = onnx.load(str(path))
        self.nodes = list(self.model.graph.node)
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}
        self.opset = next(one.version for one in self.model.opset_import if one.domain in ("", "ai.onnx"))

    def of(self, *kinds: str):
        return [node for node in self.nodes if node.op_type in kinds]

    def maker(self, tensor: str) -> str:
        return self.makers[tensor].op_type if tensor in self.makers else "constant"

    def scale(self, tensor: str):
        """Of the DQ that makes a tensor."""
        assert self.maker(tensor) == "DequantizeLinear", tensor
        return self.constants[self.makers[tensor].input[1]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a random network of the lean kind, of 128 x 192 px, and its variants."""
    torch = pytest.importorskip("torch")
    from engines import export
    from engines.east import East, EastSize

    torch.manual_seed(2)
    network = East(EastSize.lean())
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.bias, -0.1, 0.1)
    torch.nn.init.normal_(network.score.weight, std=0.3)
    torch.nn.init.constant_(network.score.bias, 0.0)
    folder = tmp_path_factory.mktemp("tiny")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = export.export(network.eval(), folder, export.Options(height=128, width=192))
        (folder / CARD_FILE).write_text(json.dumps({"files": files}))
        (folder / "no-fonts").mkdir()
        main([str(folder), "--count", "2", "--fonts", str(folder / "no-fonts")])
    return folder


@pytest.fixture(scope="module", params=["shipped", "tiny"])
def folder(request):
    return WEIGHTS if request.param == "shipped" else request.getfixturevalue("tiny")


@pytest.mark.parametrize("name", QUANTISED)
def test_every_pair_is_symmetric_int8_with_a_constant_scale(folder, name):
    net = Net(folder / name)
    pairs = net.of("QuantizeLinear", "DequantizeLinear")
    assert len(pairs) > 60
    for node in pairs:
        scale, zero = net.constants[node.input[1]], net.constants[node.input[2]]
        assert zero.dtype == np.int8 and not zero.any()
        assert (scale > 0).all() and np.isfinite(scale).all()
        assert scale.dtype == (np.float32 if name == INT8_FILE else np.float16)
        assert scale.ndim == 0 or net.maker(node.input[0]) in ("constant", "QuantizeLinear"), "only weights have a scale a channel"


@pytest.mark.parametrize("name", QUANTISED)
def test_pairs_stand_where_tensorrt_wants_them(folder, name):
    net = Net(folder / name)
    convolutions = net.of("Conv")
    head = [node for node in convolutions if node.name.startswith("/network/score/")]
    assert len(head) == 1 and net.maker(head[0].input[0]) == "Relu" and net.maker(head[0].input[1]) == "constant"
    for node in convolutions:
        if node is not head[0]:
            weights = net.makers[net.makers[node.input[1]].input[0]]
            assert weights.op_type == "QuantizeLinear" and weights.input[0] in net.constants, "float weights, then Q and DQ"
            assert net.maker(node.input[0]) == "DequantizeLinear"
        assert net.maker(node.input[2]) == "constant", "biases stay float"
    for node in net.of("Add"):
        assert (net.maker(node.input[0]), net.maker(node.input[1])) == ("Conv", "DequantizeLinear")
    lean = any("deep" in node.name for node in convolutions)
    assert (len(net.of("Add")), len(net.of("Concat"))) == ((8, 0) if lean else (8, 3))
    for node in net.of("Concat"):
        assert [taker.op_type for taker in net.nodes if node.output[0] in taker.input] == ["QuantizeLinear"], "one scale for all its inputs"
    for node in net.of("Sigmoid", "MaxPool", "Gather", "Mul", "Round", "Transpose", "Div", "Sub"):
        assert net.maker(node.input[0]) not in ("QuantizeLinear", "DequantizeLinear")


def test_the_first_convolution_reaches_the_whites(folder):
    net = Net(folder / INT8_FILE)
    first = net.of("Conv")[0]
    assert net.scale(first.input[0]) == pytest.approx(1 / 127)


def test_the_picture_is_made_float_before_anything_else(folder):
    for name in (MASK_FILE, *VARIANTS):
        net = Net(folder / name)
        assert [node.op_type for node in net.nodes if "pixels" in node.input] == ["Cast"]


@pytest.mark.parametrize(("name", "opset"), [(UINT8_FILE, 17), (INT8_FILE, 17), (FP16_FILE, HALF_OPSET), (INT8_FP16_FILE, HALF_OPSET)])
def test_opset_and_precision_are_as_said(folder, name, opset):
    net = Net(folder / name)
    assert net.opset == opset
    assert {one.domain for one in net.model.opset_import} <= {"", "ai.onnx"}
    types = {value.dtype.name for key, value in net.constants.items() if not any(key in node.input for node in net.of("Resize"))}
    flowing = {"uint8"} if name == UINT8_FILE else set()
    assert types <= {"float32" if opset == 17 else "float16", "int8", "int64"} | flowing


def test_openvino_gets_uint8_between_the_layers_and_int8_weights(folder):
    """One scale a channel for weights, without a zero point; nothing but the head and what stands around the network in float."""
    net = Net(folder / UINT8_FILE)
    for node in net.of("QuantizeLinear"):
        assert net.constants[node.input[2]].dtype == np.uint8 and net.constants[node.input[1]].ndim == 0
    convolutions = net.of("Conv")
    for node in convolutions[:-1]:
        weights = net.makers[node.input[1]]
        assert weights.op_type == "DequantizeLinear" and net.constants[weights.input[0]].dtype == np.int8
        assert not net.constants[weights.input[2]].any() and net.constants[weights.input[1]].ndim == 1
        assert net.maker(node.input[0]) == "DequantizeLinear"
    assert convolutions[-1].name.startswith("/network/score/") and net.maker(convolutions[-1].input[0]) == "Relu"


def test_a_sum_of_two_products_fits_16_bits_in_every_layer(folder):
    """What a processor without VNNI adds before it widens (vpmaddubsw): any two products of a uint8 and a weight."""
    net = Net(folder / UINT8_FILE)
    for node in net.of("Conv")[:-1]:
        weights = np.abs(net.constants[net.makers[node.input[1]].input[0]].astype(int)).reshape(-1)
        assert 255 * np.partition(weights, -2)[-2:].sum() <= 32767, node.name


@pytest.mark.parametrize("name", VARIANTS)
def test_the_weights_are_those_of_the_fp32_file(folder, name):
    original, variant = Net(folder / MASK_FILE), Net(folder / name)
    for key, value in original.constants.items():
        if not key.startswith("network."):
            continue
        if f"{key}_quantized" in variant.constants:
            scale = variant.constants[f"{key}_scale"].reshape(-1, 1, 1, 1)
            assert (np.abs(variant.constants[f"{key}_quantized"] * scale - value) <= 0.501 * scale).all(), f"{key}: the variant is stale"
        else:
            assert np.allclose(variant.constants[key], value, rtol=1e-3, atol=1e-6), f"{key}: the variant is stale"


# one score on the other side of the threshold is nine cells, for the map is grown; FP16's scores themselves are off by 2 at most
LIMITS = [(UINT8_FILE, 255, 1.0, 0.95), (INT8_FILE, 255, 1.0, 0.95), (FP16_FILE, 2, 0.01, 0.99), (INT8_FP16_FILE, 255, 1.0, 0.95)]


@pytest.mark.parametrize(("name", "most", "mean", "agree"), LIMITS)
def test_variants_find_what_the_fp32_file_finds(tmp_path, name, most, mean, agree):
    """Over four drawn screens together: a screen alone has so few cells that one score decides a hundredth."""
    book, threshold = FontBook.of(find_faces([])), read_card(WEIGHTS / CARD_FILE)["threshold"]
    maps = []
    for seed in (3, 4, 5, 6):
        drawing = draw_screen(np.random.default_rng(seed), book, Backgrounds(), 960, 540)
        Image.fromarray(drawing.pixels).save(tmp_path / "one.png")
        maps.append([Network(WEIGHTS / file).look(tmp_path / "one.png").answers[0].parts[0][1].astype(int) for file in (MASK_FILE, name)])
    one, other = (np.stack(column) for column in zip(*maps, strict=True))
    assert (one >= threshold).sum() > 1200
    assert np.abs(one - other).max() <= most
    assert np.abs(one - other).mean() <= mean
    assert ((one >= threshold) & (other >= threshold)).sum() >= agree * ((one >= threshold) | (other >= threshold)).sum()


def test_the_card_names_the_variants_and_their_source(tiny):
    card = json.loads((tiny / CARD_FILE).read_text())
    assert set(card["files"]) == {path.name for path in tiny.glob("*.onnx")}
    assert {card["files"][name]["made_from"] for name in VARIANTS} == {card["files"][MASK_FILE]["sha256"]}
    assert card["quantised"]["screens"] == 2


def test_the_same_seed_gives_the_same_file(tiny, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(tiny, again)
    main([str(again), "--count", "2", "--fonts", str(again / "no-fonts")])
    assert (again / INT8_FILE).read_bytes() == (tiny / INT8_FILE).read_bytes()
    main([str(again), "--count", "2", "--seed", "9", "--fonts", str(again / "no-fonts")])
    assert (again / INT8_FILE).read_bytes() != (tiny / INT8_FILE).read_bytes()


def test_screens_are_laid_out_as_the_product_does():
    from engines.quantize import Calibration, Screens

    screens = Screens(Calibration(3, 1), (128, 192), FontBook.of(find_faces([])), Backgrounds())
    screens.set_range(0, 3)
    drawn = []
    while found := screens.get_next():
        drawn.append(found["pixels"])
    assert [(one.shape, one.dtype) for one in drawn] == [((1, 128, 192, 3), np.uint8)] * 3
    assert not np.array_equal(drawn[0], drawn[1])


def test_a_graph_of_another_kind_is_refused(tiny):
    with pytest.raises(ValueError, match="not the residual sum"):
        free_bodies(read_model(tiny / MASK_FILE))


def test_no_screens_are_refused(tiny, capsys):
    with pytest.raises(SystemExit):
        main([str(tiny), "--count", "0"])
    assert "--count is 0" in capsys.readouterr().err
