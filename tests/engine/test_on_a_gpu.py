"""What only a GPU can answer. Skipped, with the reason, where there is none; nothing here runs on a stand-in."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gpus import needs_gpu

from appliance.engine import EngineOptions, Slot, build, compile, plans, reference
from appliance.engine.bridge import open_library
from appliance.engine.cuda import Cuda
from appliance.engine.model import WEIGHTS, load_model
from appliance.engine.openvino import OpenVinoEngine
from appliance.engine.plans import Choice, Plan
from appliance.engine.tensorrt import TensorRtEngine, key_of
from appliance.errors import DeviceLost

pytestmark = [pytest.mark.gpu, needs_gpu(), pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> EngineOptions:
    model = load_model("mask")
    folder = tmp_path_factory.mktemp("plans")
    plans.prepare_folder(folder)
    return EngineOptions(model.path, model.sha256, 4, 0, folder)


@pytest.fixture(scope="module", params=["INT8", "FP16"])
def choice(request: pytest.FixtureRequest, options: EngineOptions) -> Choice:
    """Each precision, whichever the builder would choose."""
    library, cuda = open_library(), Cuda()
    key = key_of(library, cuda, options)
    cuda.close()
    sources = {source.precision: source for source in plans.sources(options.model, library.is_strongly_typed)}
    content, _ = compile.build_plan(library, compile.Order(sources[request.param]))
    assert options.cache
    name = f"{request.param}.plan"
    return Choice(key, Plan(name, plans.save(options.cache, name, content), request.param))


@pytest.fixture
def engine(options: EngineOptions, choice: Choice) -> Iterator[TensorRtEngine]:
    engine = TensorRtEngine(options, choice)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def expected(options: EngineOptions) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    """Frames, their scores by OpenVINO, and the threshold."""
    known = reference.load(WEIGHTS, options.sha256)
    engine = OpenVinoEngine(replace(options, slots=1, cache=None))
    frames, scores = [frame.pixels for frame in known.frames()], []
    for frame in frames:
        engine.slots[0].pixels[...] = frame
        engine.run(engine.slots[0])
        scores.append(engine.slots[0].score.copy())
    engine.close()
    return frames, scores, known.threshold


def test_cpu_and_gpu_use_one_address(engine: TensorRtEngine) -> None:
    facts = engine.facts()
    assert facts.can_map and facts.is_one_address


def test_nothing_is_copied(engine: TensorRtEngine) -> None:
    for slot in engine.slots:
        engine.run(slot)
    assert engine.facts().copied_bytes == 0


def test_masks_are_openvinos(engine: TensorRtEngine, expected: tuple[list[np.ndarray], list[np.ndarray], int]) -> None:
    both = either = 0
    for frame, score in zip(*expected[:2]):
        engine.slots[1].pixels[...] = frame
        engine.run(engine.slots[1])
        ours = engine.slots[1].score
        if engine.info.precision == "FP16":
            assert np.abs(ours.astype(int) - score.astype(int)).max() <= 2
        both += int(((ours >= expected[2]) & (score >= expected[2])).sum())
        either += int(((ours >= expected[2]) | (score >= expected[2])).sum())
    assert both / either >= 0.99


def test_a_thousand_runs_grow_nothing(engine: TensorRtEngine) -> None:
    for slot in engine.slots:
        engine.run(slot)
    gpu, cpu = engine.facts().free_bytes, resident()
    for index in range(1000):
        engine.run(engine.slots[index % 4])
    assert gpu - engine.facts().free_bytes < 2**20
    assert resident() - cpu < 8 * 2**20


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_slot_of_another_shape_is_a_lost_device(engine: TensorRtEngine) -> None:
    stranger = Slot(0, np.zeros((32, 32, 3), np.uint8), np.zeros((8, 8), np.uint8))
    with pytest.raises(DeviceLost, match="another engine"):
        engine.run(stranger)
    engine.run(engine.slots[0])


def test_a_plan_of_another_shape_is_a_lost_device_or_refused(options: EngineOptions, choice: Choice) -> None:
    assert options.cache
    junk = replace(choice.single, file="junk.plan", sha256=plans.save(options.cache, "junk.plan", b"not a plan" * 1000))
    with pytest.raises(DeviceLost, match="deserialize_cuda_engine"):
        TensorRtEngine(options, replace(choice, single=junk))


def test_an_illegal_address_is_a_lost_device(options: EngineOptions, choice: Choice) -> None:
    """Last, and in a process of its own: the context of a process does not survive it."""
    code = f"""
import pickle, sys
from dataclasses import replace
from appliance.engine.program import Blocks
from appliance.engine.cuda import Mapped
from appliance.engine.tensorrt import TensorRtEngine
from appliance.errors import DeviceLost
engine = TensorRtEngine(*pickle.loads({pickle.dumps((options, choice))!r}))
def break_(device):
    device.memory = replace(device.blocks, pixels=Mapped(device.blocks.pixels.array, 256))
engine._ask(break_)
try:
    engine.run(engine.slots[0])
except DeviceLost as error:
    print("lost")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert result.stdout == "lost\n", result.stderr


def test_the_builder_chooses_something_that_agrees(options: EngineOptions) -> None:
    said: list[str] = []
    made = build.choose(options, said.append)
    assert made.why and made.single.ms > 0 and said
    assert any(note["verdict"] == "agrees" for note in made.measured)
