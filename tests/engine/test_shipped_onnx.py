"""The shipped ONNX files through a real TensorRT builder, which needs no GPU: TensorRT for RTX.

It says that the files parse, build, and run in the types they are meant to; its parser is that of TensorRT 10 and 11. What 8.6 and 10.3
make of them, and how fast anything is, only a device can say.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from appliance.engine import bridge, build, compile, plans
from appliance.engine.model import WEIGHTS
from appliance.errors import BadConfig

if find_spec("tensorrt_rtx") is None:
    pytest.skip(f"TensorRT for RTX is not installed; it has no wheels for {platform.machine()}", allow_module_level=True)

TARGETS = ("SM80", "SM86", "SM89", "SM120")
FOR_OPENVINO = "east-mask-uint8.onnx"
FILES = sorted(path for path in WEIGHTS.glob("*.onnx") if path.name != FOR_OPENVINO)
EXPECTED = {"-int8": ("Int8", "Float"), "-int8-fp16": ("Int8", "Half"), "-fp16": ("Half", "Half"), "": ("Float", "Float")}
"""A file's suffix -> what its convolutions read; and what those read that are left out of quantisation."""

LEFT_OUT = re.compile(r"/network/(score|geometry)/")
"""The heads, for what they decide."""


@pytest.fixture(scope="module")
def library() -> Iterator[bridge.Library]:
    bridge.open_library.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bridge, "MODULES", ("tensorrt_rtx",))
        yield bridge.open_library()
    bridge.open_library.cache_clear()


def source(path: Path) -> plans.Source:
    return plans.Source(path, "FP32", hashlib.sha256(path.read_bytes()).hexdigest())


def suffix(path: Path) -> str:
    return path.stem.removeprefix(plans.family(path))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_builds_and_its_convolutions_run_in_its_types(library: bridge.Library, path: Path, target: str) -> None:
    plan, _ = compile.build_plan(library, compile.Order(source(path), target=target, detailed=True))
    assert len(plan) > 100_000
    types = compile.convolution_types(library.logger.layers)
    quantised, rest = EXPECTED[suffix(path)]
    assert len(types) >= 29  # all of them were found in the report
    assert {types[name] for name in types if not LEFT_OUT.match(name)} == {quantised}
    assert {types[name] for name in types if LEFT_OUT.match(name)} <= {quantised, rest}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_builds_for_planes_and_for_four_at_once(library: bridge.Library, path: Path) -> None:
    """The kernel's path: `pixels` and what turned them are gone; the network itself is the same."""
    types = []
    for preprocess in ("graph", "kernel"):
        order = compile.Order(source(path), preprocess, build.BATCH, "SM86", True)
        compile.build_plan(library, order)
        types.append(compile.convolution_types(library.logger.layers))
        first = library.logger.layers.splitlines()[1]
        name, shape = ("pixels", "[4,576,960,3]") if preprocess == "graph" else ("planes", "[4,3,576,960]")
        assert f"Name: {name}, Dimensions: {shape}" in first
        assert ("Name: pixels" in library.logger.layers) == (preprocess == "graph")
    assert list(types[0].values()) == list(types[1].values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_kernel_reads_the_frame_and_one_writes_the_score(library: bridge.Library, path: Path) -> None:
    """So mapped memory, which an integrated GPU does not cache, is touched once; what TensorRT fuses on a Jetson may differ."""
    compile.build_plan(library, compile.Order(source(path), target="SM86", detailed=True))
    lines = library.logger.layers.splitlines()
    layers = [line.partition("Outputs:") for line in lines if "LayerType" in line]
    assert sum("Name: pixels," in inputs for inputs, _, _ in layers) == 1
    assert sum("Name: score," in outputs for _, _, outputs in layers) == 1
    assert not any("Name: score," in inputs for inputs, _, _ in layers)


def test_every_file_of_the_card_is_there() -> None:
    card = json.loads((WEIGHTS / "card.json").read_text("utf-8"))["files"]
    assert sorted(card) == sorted([FOR_OPENVINO, *(path.name for path in FILES)])


def test_the_parsers_message_is_told(library: bridge.Library, tmp_path: Path) -> None:
    """A real refusal: not ONNX at all."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(FILES[0].read_bytes()[:1000])
    with pytest.raises(BadConfig, match=r"TensorRT's parser refuses broken\.onnx: \w+"):
        compile.build_plan(library, compile.Order(source(path), target="SM86"))


def test_an_unknown_target_is_refused(library: bridge.Library) -> None:
    """There is none for a Jetson: plans for it are built on it."""
    with pytest.raises(BadConfig, match="does not build for SM87"):
        compile.build_plan(library, replace(compile.Order(source(FILES[0])), target="SM87"))
