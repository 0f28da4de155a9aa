"""The contract every engine must pass. A new engine: one line in `opened`, nothing else changes here."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import gpus
import numpy as np
import pytest
from tensorrts import Fake

from appliance.engine import ENGINES, STRIDE, Engine, EngineOptions, build, compile, measure, open_engine
from appliance.engine.model import load_model
from appliance.errors import BadConfig, DeviceLost

Open = Callable[[int], Engine]


STAND_IN = "tensorrt on a stand-in"
REAL = pytest.param("tensorrt", marks=[pytest.mark.gpu, gpus.needs_gpu()])
PARAMS = [*sorted(set(ENGINES) - {"tensorrt"}), STAND_IN, REAL]


@pytest.fixture(
    params=[*sorted(set(ENGINES) - {"tensorrt"}), STAND_IN, pytest.param("tensorrt", marks=[pytest.mark.gpu, gpus.needs_gpu()])]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """TensorRT runs where there is a GPU, and everywhere on a stand-in that computes with OpenVINO."""
    model = load_model("mask")
    engines: list[Engine] = []
    # a real plan takes minutes: one for all tests
    cache = tmp_path_factory.getbasetemp() / "plans" if request.param == "tensorrt" else tmp_path

    def open_(slots: int) -> Engine:
        options = EngineOptions(model.path, model.sha256, slots, 0, cache)
        if request.param.startswith("tensorrt"):
            build.choose(options, lambda _: None)
        engines.append(open_engine(request.param.partition(" ")[0], options))
        return engines[-1]

    with ExitStack() as undo:
        if request.param == STAND_IN:
            patch = undo.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(measure, "RUNS", 1)
            patch.setattr(compile, "NVCC", ("no-such-compiler",))
            undo.enter_context(gpus.standing_in(Fake("10.3.0.30", compute=gpus.shipped_model(), size=(576, 960))))
        yield open_
        for engine in engines:
            engine.close()


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_slots_have_the_promised_shapes(opened: Open) -> None:
    engine = opened(3)
    assert [slot.index for slot in engine.slots] == [0, 1, 2]
    for slot in engine.slots:
        height, width, channels = slot.pixels.shape
        assert (height % 32, width % 32, channels) == (0, 0, 3)
        assert slot.pixels.dtype == slot.score.dtype == np.uint8
        assert slot.score.shape == (height // STRIDE, width // STRIDE)
        assert slot.pixels.flags.writeable and not slot.pixels.any()
        assert slot.geometry is None


def test_the_engine_says_what_it_is(opened: Open) -> None:
    info = opened(1).info
    assert info.name and info.device and info.precision in {"FP32", "BF16", "FP16", "INT8"}
    assert info.model == load_model("mask").sha256[:12]


def test_same_picture_same_score_in_every_slot(opened: Open) -> None:
    engine = opened(2)
    first, second = engine.slots
    first.pixels[...] = second.pixels[...] = noise(first.pixels.shape, 1)
    engine.run(first)
    kept = first.score.copy()
    engine.run(second)
    engine.run(first)
    assert np.array_equal(first.score, kept) and np.array_equal(second.score, kept)


def test_a_run_reads_its_own_slot_and_writes_no_other(opened: Open) -> None:
    engine = opened(2)
    first, second = engine.slots
    first.pixels[...] = noise(first.pixels.shape, 2)
    engine.run(first)
    kept = first.score.copy()
    second.pixels[...] = 255 - first.pixels
    engine.run(second)
    assert np.array_equal(first.score, kept)


def test_slots_run_at_once_from_several_threads(opened: Open) -> None:
    engine = opened(4)
    for slot in engine.slots:
        slot.pixels[...] = noise(slot.pixels.shape, slot.index)
    alone = []
    for slot in engine.slots:
        engine.run(slot)
        alone.append(slot.score.copy())
        slot.score[...] = 7
    threads = [threading.Thread(target=engine.run, args=(slot,)) for slot in engine.slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for slot, expected in zip(engine.slots, alone, strict=True):
        assert np.array_equal(slot.score, expected)


def test_text_scores_high_and_darkness_low(opened: Open) -> None:
    engine = opened(1)
    (slot,) = engine.slots
    engine.run(slot)
    assert slot.score.max() < load_model("mask").threshold


def test_a_damaged_cache_changes_nothing(opened: Open, tmp_path: Path) -> None:
    engine = opened(1)
    engine.slots[0].pixels[...] = noise(engine.slots[0].pixels.shape, 5)
    engine.run(engine.slots[0])
    kept = [path for path in tmp_path.iterdir() if path.is_file()]
    for path in kept:
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 5000] = bytes(5000)
        path.write_bytes(data)
    again = opened(1)
    again.slots[0].pixels[...] = engine.slots[0].pixels
    again.run(again.slots[0])
    assert np.array_equal(again.slots[0].score, engine.slots[0].score)


def test_a_warm_cache_gives_the_same_answer(opened: Open) -> None:
    scores = []
    for _ in range(2):
        engine = opened(1)
        engine.slots[0].pixels[...] = noise(engine.slots[0].pixels.shape, 6)
        engine.run(engine.slots[0])
        scores.append(engine.slots[0].score.copy())
    assert np.array_equal(*scores)


def test_a_foreign_slot_is_refused(opened: Open) -> None:
    one, other = opened(1), opened(1)
    with pytest.raises(DeviceLost):
        one.run(other.slots[0])


def test_closed_means_closed(opened: Open) -> None:
    engine = opened(1)
    slot = engine.slots[0]
    engine.close()
    engine.close()
    with pytest.raises(DeviceLost):
        engine.run(slot)


def test_a_signal_after_closing_is_survived(tmp_path: Path) -> None:
    """OpenVINO left the main thread with a signal stack that it had unmapped."""
    code = f"""
import faulthandler, os, pathlib, signal
faulthandler.enable()
from appliance.engine import EngineOptions, open_engine
from appliance.engine.model import load_model
model = load_model("mask")
options = EngineOptions(model.path, model.sha256, 1, 0, pathlib.Path({str(tmp_path)!r}))
for _ in range(2):
    for engine in [open_engine("openvino", options) for _ in range(2)]:
        engine.close()
    del engine
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
os.kill(os.getpid(), signal.SIGTERM)
print(len(heard))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "1\n"), result.stderr


def test_an_unknown_engine_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"engine\.name.*openvino"):
        open_engine("abacus", EngineOptions(tmp_path, ""))
