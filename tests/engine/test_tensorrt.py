"""The TensorRT engine on stand-ins of every version: what it asks for, in which order, and what it does when it is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cudas import DEVICE, LaunchError, LogicError
from gpus import Gpu, standing_in
from tensorrts import VERSIONS, Fake, brightest

from appliance.engine import EngineOptions, build, compile, measure, open_engine, plans, reference
from appliance.engine.bridge import open_library
from appliance.engine.plans import Choice, Plan
from appliance.engine.tensorrt import TensorRtEngine, key_of
from appliance.errors import BadConfig, DeviceLost

SIZE = (128, 256)
NVCC = compile.NVCC
WEAK, STRONG = {"INT8": {"FP16", "INT8"}, "FP16": {"FP16"}}, {"INT8": set(), "FP16": set()}
ASKED_FOR = {"8.6.2.3": (1, WEAK), "10.3.0.30": (0, WEAK), "10.13.3.9": (2, STRONG), "11.1.0.1": (1, STRONG)}
"""Version -> the network's flags, and the builder's by precision: jetson.md 2.1, 2.3."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RUNS", 2)
    monkeypatch.setattr(compile, "NVCC", ("no-such-compiler",))


@pytest.fixture(params=VERSIONS)
def every(request: pytest.FixtureRequest) -> Iterator[Gpu]:
    """Each version in turn."""
    with standing_in(Fake(request.param, size=SIZE)) as gpu:
        yield gpu
        assert gpu.driver.is_clean


@pytest.fixture
def gpu() -> Iterator[Gpu]:
    """JetPack 6.2's."""
    with standing_in(Fake("10.3.0.30", size=SIZE)) as gpu:
        yield gpu
        assert gpu.driver.is_clean


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder as engines/weights, of four files that the stand-ins take for networks."""
    folder = tmp_path / "weights"
    folder.mkdir()
    files = {f"east-mask{suffix}.onnx": f"network{suffix}".encode() for suffix in ("", "-int8", "-fp16", "-int8-fp16")}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    card = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()}
    (folder / "card.json").write_text(json.dumps({"files": card, "threshold": 128}))
    masks = [brightest(reference.frame(seed, SIZE).pixels[None])[0] >= 128 for seed in reference.SEEDS]
    reference.save(folder, SIZE, {card["east-mask.onnx"]["sha256"]: (128, masks)})
    return folder


@pytest.fixture
def options(weights: Path, tmp_path: Path) -> EngineOptions:
    return EngineOptions(weights / "east-mask.onnx", "0" * 64, 4, 0, tmp_path / "plans")


def quiet(text: str) -> None:
    return


def fill(engine: TensorRtEngine) -> list[np.ndarray]:
    """Noise into every slot; what each must be answered with."""
    for slot in engine.slots:
        slot.pixels[...] = np.random.default_rng(slot.index).integers(0, 200, slot.pixels.shape, np.uint8)
    return [brightest(slot.pixels[None])[0] for slot in engine.slots]


# the bridge


def test_each_version_is_asked_for_what_it_has(every: Gpu, options: EngineOptions) -> None:
    library = open_library()
    for source in plans.sources(options.model, library.is_strongly_typed):
        every.trt.log.clear()
        compile.build_plan(library, compile.Order(source))
        flags = {entry[1] for entry in every.trt.log if entry[0] == "flag"}
        network = next(entry[1] for entry in every.trt.log if entry[0] == "create_network")
        wanted, by_precision = ASKED_FOR[every.trt.version]
        assert (network, flags) == (wanted, by_precision[source.precision])
        assert ("workspace", 2**30) in every.trt.log


def test_files_are_chosen_by_typing(options: EngineOptions) -> None:
    names = {strong: {s.precision: s.path.name for s in plans.sources(options.model, strong)} for strong in (False, True)}
    assert names[False] == {"INT8": "east-mask-int8.onnx", "FP16": "east-mask.onnx"}
    assert names[True] == {"INT8": "east-mask-int8-fp16.onnx", "FP16": "east-mask-fp16.onnx"}


def test_a_model_with_one_file_is_built_in_fp32_where_the_file_says_the_types(weights: Path) -> None:
    card = json.loads((weights / "card.json").read_text())
    for name in list(card["files"])[1:]:
        del card["files"][name]
    (weights / "card.json").write_text(json.dumps(card))
    assert [s.precision for s in plans.sources(weights / "east-mask.onnx", True)] == ["FP32"]
    assert [s.precision for s in plans.sources(weights / "east-mask.onnx", False)] == ["FP16"]


def test_only_what_is_wanted_is_chosen_from(gpu: Gpu, options: EngineOptions, weights: Path) -> None:
    for wanted, precisions in (("int8", ["INT8"]), ("float", ["FP16"])):
        assert [source.precision for source in plans.sources(options.model, False, wanted)] == precisions
        choice = build.choose(replace(options, precision=wanted), quiet)
        assert choice.single.precision == precisions[0]
        with pytest.raises(BadConfig, match="no plan"):
            open_engine("tensorrt", options)  # which may choose from both
    (weights / "east-boxes.onnx").write_bytes(b"network")
    card = json.loads((weights / "card.json").read_text())
    card["files"]["east-boxes.onnx"] = {"sha256": hashlib.sha256(b"network").hexdigest()}
    (weights / "card.json").write_text(json.dumps(card))
    with pytest.raises(BadConfig, match=r"engine\.precision: is int8, which east-boxes does not come in"):
        plans.sources(weights / "east-boxes.onnx", False, "int8")


def test_a_changed_file_is_refused(weights: Path) -> None:
    (weights / "east-mask-int8.onnx").write_bytes(b"another")
    with pytest.raises(BadConfig, match="not the file its card names"):
        plans.sources(weights / "east-mask.onnx", False)


@pytest.mark.parametrize("version", ["8.5.2.2", "7.1.3.0"])
def test_an_older_tensorrt_is_refused(version: str) -> None:
    fake = Fake("8.6.2.3")
    fake.module.__version__ = version
    with standing_in(fake), pytest.raises(BadConfig, match="too old"):
        open_library()


def test_versions_are_compared_as_numbers() -> None:
    for version, strong in (("10.3.0", False), ("10.12.0", True), ("8.6.2", False), ("11.0.0", True)):
        fake = Fake("10.3.0.30")
        fake.module.__version__ = version
        with standing_in(fake):
            assert open_library().is_strongly_typed is strong


def test_the_parsers_message_is_told(gpu: Gpu, weights: Path) -> None:
    (weights / "bad.onnx").write_bytes(b"bad")
    with pytest.raises(BadConfig, match=r"refuses bad\.onnx: .*Non-zero zero point"):
        compile.build_plan(open_library(), compile.Order(plans.Source(weights / "bad.onnx", "INT8", "")))


def test_the_builders_message_is_told(gpu: Gpu, options: EngineOptions) -> None:
    gpu.trt.fail.add("build")
    with pytest.raises(DeviceLost, match="build_serialized_network failed: Could not find any implementation"):
        compile.build_plan(open_library(), compile.Order(plans.sources(options.model, False)[0]))


def test_another_versions_timing_cache_is_not_used(gpu: Gpu, options: EngineOptions) -> None:
    source = plans.sources(options.model, False)[0]
    assert compile.build_plan(open_library(), compile.Order(source), b"of another version")[1] == b"10.3.0.30"


# choosing


def test_a_choice_is_made_once_and_says_why(every: Gpu, options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"INT8": 1.0, "FP16": 2.0}
    monkeypatch.setattr(TensorRtEngine, "time_ms", lambda self: times[self.choice.single.precision])
    said: list[str] = []
    choice = build.choose(options, said.append)
    assert (choice.single.precision, choice.single.preprocess, choice.group, choice.kernel) == ("INT8", "graph", None, None)
    assert "INT8 1.00 ms" in choice.why and "FP16 2.00 ms" in choice.why
    assert any(text.startswith("building INT8") for text in said)
    said.clear()
    assert build.choose(options, said.append) == choice and not said
    kept = sorted(path.name for path in options.cache.iterdir())
    assert [name for name in kept if name.endswith(".plan")] == [choice.single.file]
    with_engine = open_engine("tensorrt", options)
    assert with_engine.info.precision == "INT8" and with_engine.info.name == f"tensorrt {every.trt.version}"
    with_engine.close()


def test_an_engine_that_misses_text_is_not_chosen_however_fast(gpu: Gpu, options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(engine: TensorRtEngine, expected: reference.Reference, batch: int) -> list[np.ndarray]:
        return [mask & (engine.choice.single.precision != "INT8") for mask in expected.masks]

    monkeypatch.setattr(build, "_masks", blind)
    monkeypatch.setattr(TensorRtEngine, "time_ms", lambda self: {"INT8": 1.0, "FP16": 2.0}[self.choice.single.precision])
    choice = build.choose(options, quiet)
    assert choice.single.precision == "FP16" and "no other agreed" in choice.why
    assert any(note["verdict"] == "does not agree" for note in choice.measured)


def test_nothing_is_chosen_when_nothing_agrees(gpu: Gpu, options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_masks", lambda engine, expected, batch: [mask & False for mask in expected.masks])
    with pytest.raises(BadConfig, match="no engine could be built that agrees"):
        build.choose(options, quiet)
    with pytest.raises(BadConfig, match="run anonbox engine build"):
        open_engine("tensorrt", options)


def test_kernel_batch_and_graph_are_used_where_they_are_faster(every: Gpu, options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    def faster_each_time(engine: TensorRtEngine) -> float:
        plan = engine.choice.single
        return 8.0 - 2 * (plan.preprocess == "kernel") - (plan.batch == 4) - 2 * plan.uses_graph

    monkeypatch.setattr(build, "compile_kernel", lambda folder, capability: ("k.cubin", plans.save(folder, "k.cubin", b"cubin")))
    monkeypatch.setattr(TensorRtEngine, "time_ms", faster_each_time)
    choice = build.choose(options, quiet)
    assert (choice.single.preprocess, choice.single.uses_graph, choice.kernel[0]) == ("kernel", True, "k.cubin")
    assert choice.group and (choice.group.batch, choice.group.preprocess, choice.group.uses_graph) == (4, "kernel", True)
    with_engine = open_engine("tensorrt", options)
    try:
        expected = fill(with_engine)
        threads = [threading.Thread(target=with_engine.run, args=(slot,)) for slot in with_engine.slots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for slot, score in zip(with_engine.slots, expected):
            assert np.array_equal(slot.score, score)
    finally:
        with_engine.close()
    kernel = "planes_float16" if ASKED_FOR[every.trt.version][1] is STRONG else "planes_float32"
    assert every.lib.launches and {call[0] for call in every.driver.kernels} == {kernel}


def test_without_a_compiler_the_network_reads_the_frame(gpu: Gpu, options: EngineOptions) -> None:
    choice = build.choose(options, quiet)
    assert choice.single.preprocess == "graph"
    assert any("no CUDA compiler" in note["verdict"] for note in choice.measured)


@pytest.mark.skipif(not any(map(shutil.which, NVCC)), reason="no nvcc here: the preprocess kernel was not compiled")
@pytest.mark.parametrize("capability", [(8, 7), (8, 9)])
def test_the_preprocess_kernel_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    monkeypatch.setattr(compile, "NVCC", NVCC)
    name, sha256 = build.compile_kernel(tmp_path, capability)
    assert plans.load(tmp_path, name, sha256)[:4] == b"\x7fELF"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(not any(map(shutil.which, NVCC)), reason="no nvcc here")
def test_a_compilers_complaint_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile, "NVCC", NVCC)
    with pytest.raises(BadConfig, match=r"nvcc cannot compile planes\.cu: .*sm_11"):
        build.compile_kernel(tmp_path, (1, 1))


def test_a_plan_that_does_not_match_is_built_anew(options: EngineOptions) -> None:
    for version in ("10.3.0.30", "10.3.0.31"):
        with standing_in(Fake(version, size=SIZE)):
            if version == "10.3.0.31":
                with pytest.raises(BadConfig, match="no plan"):
                    open_engine("tensorrt", options)
            assert build.choose(options, quiet).key.library == f"tensorrt {version}"
    assert len(plans.records(options.cache)) == 2


@pytest.mark.parametrize("damage", ["plan", "record"])
def test_a_damaged_plan_is_never_loaded(gpu: Gpu, options: EngineOptions, damage: str) -> None:
    choice = build.choose(options, quiet)
    path = options.cache / choice.single.file if damage == "plan" else plans.records(options.cache)[0]
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    with pytest.raises(BadConfig, match="no plan"):
        open_engine("tensorrt", options)
    assert build.choose(options, quiet).single.sha256 == choice.single.sha256
    open_engine("tensorrt", options).close()


def test_a_folder_that_others_may_write_is_refused(gpu: Gpu, options: EngineOptions) -> None:
    build.choose(options, quiet)
    options.cache.chmod(0o777)
    for use in (lambda: open_engine("tensorrt", options), lambda: build.choose(options, quiet)):
        with pytest.raises(BadConfig, match="plans are code"):
            use()


# running


@pytest.fixture
def engine(gpu: Gpu, options: EngineOptions) -> Iterator[TensorRtEngine]:
    build.choose(options, quiet)
    gpu.trt.log.clear()
    gpu.driver.calls.clear()
    engine = TensorRtEngine(options)
    yield engine
    engine.close()


def test_every_version_gives_the_right_scores(every: Gpu, options: EngineOptions) -> None:
    build.choose(options, quiet)
    engine = TensorRtEngine(options)
    expected = fill(engine)
    for slot, score in zip(engine.slots, expected):
        engine.run(slot)
        assert np.array_equal(slot.score, score)
    assert engine.facts().memory_bytes == 4 << 20  # of two plans, each with two execution contexts
    engine.close()


def test_all_cuda_calls_come_from_one_thread_that_holds_the_context(engine: TensorRtEngine, gpu: Gpu) -> None:
    fill(engine)
    threads = [threading.Thread(target=engine.run, args=(slot,)) for slot in engine.slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()
    assert len({thread for _, thread in gpu.driver.calls}) == 1
    names = [name for name, _ in gpu.driver.calls]
    assert names[:4] == ["init", "Device", "retain_primary_context", "push"] and names[-2:] == ["pop", "detach"]


def test_nothing_is_copied_between_decoder_and_mask(engine: TensorRtEngine, gpu: Gpu) -> None:
    fill(engine)
    for slot in engine.slots:
        gpu.trt.log.clear()
        engine.run(slot)
        assert gpu.trt.log == [("execute", slot.pixels.ctypes.data)]
    facts = engine.facts()
    assert (facts.copied_bytes, gpu.driver.copies, facts.is_one_address) == (0, 0, True)
    assert engine.time_feeds_ms() == {"mapped": 25.0, "device": 25.0}
    assert engine.facts().copied_bytes == gpu.driver.copies * engine.slots[0].pixels.nbytes > 0  # the counter counts


def test_two_launches_are_in_flight(engine: TensorRtEngine, gpu: Gpu) -> None:
    """The second is queued before the first is waited for."""
    hold, held = threading.Event(), threading.Event()
    engine_thread = threading.Thread(target=lambda: engine._ask(lambda device: (held.set(), hold.wait())))
    engine_thread.start()
    held.wait()
    lanes = [threading.Thread(target=engine.run, args=(slot,)) for slot in engine.slots[:3]]
    for lane in lanes:
        lane.start()
    while engine._calls.qsize() < 3:
        time.sleep(0.001)
    gpu.driver.calls.clear()
    DEVICE.most_queued = 0
    hold.set()
    for lane in [*lanes, engine_thread]:
        lane.join()
    names = [name for name, _ in gpu.driver.calls if name in {"record", "Event.synchronize"}]
    assert names[:3] == ["record", "record", "Event.synchronize"]
    assert DEVICE.most_queued == 4  # two networks and their events


def test_a_batch_is_all_of_it_or_none(gpu: Gpu, options: EngineOptions) -> None:
    """A slot nobody asked for may be being decoded into: its score must not be touched."""
    choice = build.choose(options, quiet)
    group, _ = compile.build_plan(open_library(), compile.Order(plans.sources(options.model, False)[0], "graph", 4))
    plan = Plan("group.plan", plans.save(options.cache, "group.plan", group), "INT8", "graph", 4)
    engine = TensorRtEngine(replace(options, slots=8), replace(choice, group=plan))
    expected = fill(engine)
    for slot in engine.slots:
        slot.score[...] = 7
    gpu.trt.log.clear()
    for asked, launches in (((0, 1, 2), 3), ((4, 5, 6, 7), 1)):
        hold, held = threading.Event(), threading.Event()
        blocker = threading.Thread(target=lambda hold=hold, held=held: engine._ask(lambda device: (held.set(), hold.wait())))
        blocker.start()
        held.wait()
        lanes = [threading.Thread(target=engine.run, args=(engine.slots[index],)) for index in asked]
        for lane in lanes:
            lane.start()
        while engine._calls.qsize() < len(asked):
            time.sleep(0.001)
        gpu.trt.log.clear()
        hold.set()
        for lane in [*lanes, blocker]:
            lane.join()
        assert len(gpu.trt.log) == launches
        for index in asked:
            assert np.array_equal(engine.slots[index].score, expected[index])
    assert (engine.slots[3].score == 7).all()
    engine.close()


def test_geometry_comes_where_the_model_has_it(options: EngineOptions) -> None:
    with standing_in(Fake("10.3.0.30", size=SIZE, geometry=True)):
        build.choose(options, quiet)
        engine = TensorRtEngine(options)
        engine.run(engine.slots[2])
        assert engine.slots[2].geometry is not None and engine.slots[2].geometry.shape == (32, 64, 5)
        assert (engine.slots[2].geometry == 7.5).all() and (engine.slots[1].geometry != 0).any()  # warm-up ran it too
        engine.close()


# what is refused and what is lost


@pytest.mark.parametrize(("refused", "call"), [("set_tensor_address", "set_tensor_address"), ("execute", "execute_async_v3")])
def test_a_no_from_tensorrt_is_a_lost_device(engine: TensorRtEngine, gpu: Gpu, refused: str, call: str) -> None:
    gpu.trt.fail.add(refused)
    first, second = engine.slots[:2]
    with pytest.raises(DeviceLost, match=call):
        engine.run(first)
    gpu.trt.fail.clear()
    with pytest.raises(DeviceLost, match=call):  # and stays one
        engine.run(second)
    engine.close()
    assert gpu.driver.is_clean


def test_an_error_on_the_gpu_shows_when_it_is_waited_for(engine: TensorRtEngine, gpu: Gpu) -> None:
    """cuEventSynchronize reports what an earlier kernel did; all who wait are told."""
    gpu.driver.fail["Event.synchronize"] = LaunchError("an illegal memory access was encountered")
    errors: list[DeviceLost] = []
    slots = engine.slots

    def run(index: int) -> None:
        try:
            engine.run(slots[index])
        except DeviceLost as error:
            errors.append(error)

    lanes = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join(10)
    assert [str(error) for error in errors] == ["cuEventSynchronize failed: an illegal memory access was encountered"] * 4
    gpu.driver.fail.clear()


@pytest.mark.parametrize("call", ["pagelocked_empty", "Stream", "Event", "mem_get_info"])
def test_a_call_that_fails_while_opening_gives_everything_back(gpu: Gpu, options: EngineOptions, call: str) -> None:
    build.choose(options, quiet)
    gpu.driver.fail[call] = LogicError(f"{call} failed: out of memory")
    if call == "mem_get_info":
        engine = TensorRtEngine(options)
        with pytest.raises(DeviceLost, match="out of memory"):
            engine.facts()
        engine.close()
    else:
        with pytest.raises(DeviceLost, match="out of memory"):
            open_engine("tensorrt", options)
    gpu.driver.fail.clear()


def test_a_plan_that_cannot_be_deserialised_is_a_lost_device(gpu: Gpu, options: EngineOptions) -> None:
    choice = build.choose(options, quiet)
    stale = replace(choice.single, file="stale", sha256=plans.save(options.cache, "stale", b'{"version": "9.9"}'))
    with pytest.raises(DeviceLost, match="deserialize_cuda_engine"):
        TensorRtEngine(options, replace(choice, single=stale))


@pytest.mark.parametrize(
    "ports",
    [
        [["pixels", "INPUT", "FLOAT", [1, 128, 256, 3]], ["score", "OUTPUT", "UINT8", [1, 32, 64]]],
        [["pixels", "INPUT", "UINT8", [1, 128, 256, 3]], ["score", "OUTPUT", "UINT8", [1, 64, 32]]],
        [["pixels", "INPUT", "UINT8", [2, 128, 256, 3]], ["score", "OUTPUT", "UINT8", [2, 32, 64]]],
        [["pixels", "INPUT", "UINT8", [1, 32, 64, 3]], ["score", "OUTPUT", "UINT8", [1, 8, 16]]],
        [["pixels", "INPUT", "UINT8", [1, 128, 256, 3]]],
        [["image", "INPUT", "UINT8", [1, 128, 256, 3]], ["score", "OUTPUT", "UINT8", [1, 32, 64]]],
    ],
    ids=["type", "turned", "batch", "not aligned", "no score", "name"],
)
def test_a_plan_of_another_shape_is_refused(gpu: Gpu, options: EngineOptions, ports: list[object]) -> None:
    choice = build.choose(options, quiet)
    content = json.dumps({"version": gpu.trt.version, "ports": ports}).encode()
    other = replace(choice.single, file="other", sha256=plans.save(options.cache, "other", content))
    with pytest.raises(BadConfig, match="weights"):
        TensorRtEngine(options, replace(choice, single=other))


def test_a_graph_that_cannot_be_captured_is_not_used(gpu: Gpu, options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu.lib.fail.add("cuStreamEndCapture")
    choice = build.choose(options, quiet)
    assert not choice.single.uses_graph
    assert any("cuStreamEndCapture" in note["verdict"] for note in choice.measured)


def test_a_thousand_runs_grow_nothing(engine: TensorRtEngine, gpu: Gpu) -> None:
    fill(engine)
    engine.run(engine.slots[0])
    before = {name: sum(1 for call, _ in gpu.driver.calls if call == name) for name in ("Event", "Stream", "mem_alloc", "pagelocked_empty")}
    for index in range(1000):
        engine.run(engine.slots[index % 4])
    after = {name: sum(1 for call, _ in gpu.driver.calls if call == name) for name in before}
    assert before == after and not engine._waiting and not engine._flying


# the fallback


def test_openvino_takes_its_place_only_where_the_configuration_says_so_and_says_so(tmp_path: Path) -> None:
    from appliance.engine.model import load_model

    model = load_model("mask")
    options = EngineOptions(model.path, model.sha256, 1, 0, tmp_path / "plans")
    with standing_in(Fake("10.3.0.30", size=(576, 960))):
        with pytest.raises(BadConfig, match="no plan"):
            open_engine("tensorrt", options)
        engine = open_engine("tensorrt", options, "openvino")
    assert engine.info.name.startswith("openvino")
    assert engine.info.note.startswith("in place of tensorrt: configuration: engine.name: no plan for Orin")
    engine.run(engine.slots[0])
    engine.close()


def test_a_choice_survives_the_disk(gpu: Gpu, options: EngineOptions) -> None:
    choice = build.choose(options, quiet)
    again = plans.read(plans.records(options.cache)[0])
    assert isinstance(again, Choice) and again == choice
    from appliance.engine.cuda import Cuda

    cuda = Cuda()
    assert key_of(open_library(), cuda, options) == choice.key
    cuda.close()
