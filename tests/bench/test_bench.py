"""The measurements measure what they say, on pictures small enough for a test."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from appliance.bench import copies, frames, throughput
from appliance.engine import EngineOptions, open_engine
from appliance.engine.model import load_model
from appliance.errors import AnonBoxError
from appliance.formats import Limits, open_picture
from appliance.redactor.detector import Detector
from appliance.redactor.stages import Stages
from engines.bench import ladder, others, plots, steps

SMALL = (360, 640)


def test_the_daemon_is_measured_as_it_runs(tmp_path: Path) -> None:
    files = frames.drawn_files(3, SMALL)
    shares: list[float] = []
    run = throughput.run_daemon(files, 30, 10, tmp_path, shares.append)
    assert (len(run.crowd), len(run.singles), shares[-1]) == (30, 10, 1.0)
    found = throughput.Result(
        run, throughput.floor_ms(files, 1, 0.1), copies.copies_per_image(files[0], tmp_path), run.ms_per_image * 2
    ).to_json()
    assert found["copies_per_image"] == 1
    assert list(found["stages_ms"]) == list(throughput.STAGES) and all(ms > 0 for ms in found["stages_ms"].values())
    assert sum(found["stages_ms"].values()) == pytest.approx(found["latency_ms"]["p50"], rel=0.5)
    assert found["floor_ratio"] == pytest.approx(found["ms_per_image"] / found["floor_ms_per_image"], rel=0.05)
    assert found["rate_against_few"] == 2 and -0.5 < found["memory_growth"] < 0.5
    assert found["cpu_ms_per_image"] > 0 and 50 < found["peak_rss_mb"] < 400
    assert json.loads(json.dumps(found)) == found and "images/s" in throughput.as_table(found)
    scaling = {"images_per_s_by_cores": {1: 19.9, 2: 39.5}, "images_per_s_by_size": {"4K": 9.0}}
    assert "images/s: 19.9 with 1 core(s), 39.5 with 2 core(s)\nimages/s: 9.0 with 4K\n" in throughput.as_table(found | scaling)


def test_pictures_that_are_refused_are_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(AnonBoxError, match="refused"):
        throughput.run_daemon([b"PK\x03\x04, no picture"], 4, 0, tmp_path)


def test_the_ladders_own_rows_remove_what_the_product_removes(tmp_path: Path) -> None:
    """Scaled decode, DCT and lanes against the product's first look; the pixel way covers the same, from the same map."""
    file = frames.drawn_file(1)
    kit = steps.Kit([file], tmp_path)
    (maps,) = steps.slim_network("float")(kit)([steps.scaled_decode(file)], [file])
    hot = steps.score_map(kit, maps)
    written = steps.dct_write(file, np.empty((0, 0, 3), np.uint8), hot)
    once = steps.decode_once(file)
    assert np.array_equal(once, steps.scaled_decode(file)) and steps.write_kept(file, once, hot) == written
    by_dct = open_picture(written, Limits())
    model = load_model("mask")
    with Detector(open_engine("openvino", EngineOptions(model.path, model.sha256)), "mask", model.threshold, model.again).sight() as sight:
        mask = sight.look(open_picture(file, Limits()).pages[0], Stages())
    assert mask.cells.any()
    dark, decoded = mask.to_pixels(), np.empty((1080, 1920, 3), np.uint8)
    by_dct.pages[0].read(8, decoded)
    source = steps.turbo_decode(file)
    core = np.lib.stride_tricks.sliding_window_view(np.pad(dark, 2, constant_values=True), (5, 5)).all(axis=(2, 3))
    assert decoded[core].max() < 8
    beyond = ~np.lib.stride_tricks.sliding_window_view(np.pad(dark, 2), (5, 5)).any(axis=(2, 3))
    assert np.array_equal(decoded[beyond], source[beyond])
    by_pixels = steps.turbo_decode(steps.turbo_write(file, source[:0], hot))
    assert by_pixels.shape == decoded.shape and by_pixels[hot.cells.repeat(8, 0).repeat(8, 1)[:1080]].mean() < 3
    boxes = steps.product_boxes(kit, kit.full_size_maps(file))
    assert boxes.num == steps.FULL and boxes.cells.any()


def test_the_ladder_says_why_a_row_is_missing() -> None:
    names = [row[0] if isinstance(row, tuple) else row.name for row in ladder.ROWS]
    assert set(plots.STUDY_MS) <= set(names) and len(set(names)) == len(names)
    assert all(reason for row in ladder.ROWS if isinstance(row, tuple) for reason in row[1:])
    assert not ladder._Measured("TensorRT", "no GPU").to_json()["available"]
    clocked = ladder._Measured("row")
    for _ in range(3):
        clocked.take(lambda files: {"infer": 1.0 * len(files)}, [b"a", b"b"])
    assert clocked.to_json()["available"] and clocked.to_json()["stages_ms"] == {"infer": 1.0}


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="the bench extra is installed")
def test_without_the_extra_it_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "appliance", "bench", "throughput", "--plot", str(tmp_path / "rates.png")]
    done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path), "PATH": ""}, check=False)
    assert (done.returncode, "make bench" in done.stderr) == (69, True)
    with pytest.raises(others.Unavailable, match="make bench"):
        others.rapidocr()
