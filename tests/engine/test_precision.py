"""INT8 is taken only where it is faster, and removes what floats remove."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from screens import screen

from appliance.engine import EngineOptions, choose, open_engine
from appliance.engine.choose import Trial, precision_for, tried
from appliance.engine.model import Model, load_model
from appliance.engine.reference import Agreement
from appliance.errors import BadConfig
from appliance.formats import Limits
from appliance.redactor.detector import Detector
from appliance.redactor.redact import redact
from appliance.types import Cells, Precision


def test_what_is_asked_for_is_taken_and_tensorrt_gets_floats() -> None:
    assert precision_for("openvino", "auto", "boxes") == "float"
    assert precision_for("tensorrt", "auto", "mask") == "float"
    assert [precision_for("openvino", wanted, "mask") for wanted in ("int8", "float")] == ["int8", "float"]


@pytest.mark.parametrize(
    ("int8_ms", "overlap", "missed", "taken"),
    [(5, 0.995, 0, "int8"), (11, 1.0, 0, "float"), (5, 0.98, 0, "float"), (5, 0.999, 1, "float")],
)
def test_int8_is_taken_where_it_is_faster_and_finds_the_same(
    int8_ms: float, overlap: float, missed: int, taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def tried(model: Model, floats: Model, cache: Path | None) -> Trial:
        asked.append(model.path.name)
        same = model.sha256 == floats.sha256
        return Trial(10, Agreement(1, 0, 0, 0)) if same else Trial(int8_ms, Agreement(overlap, 0, 0, missed))

    monkeypatch.setattr(choose, "tried", tried)
    assert precision_for("openvino", "auto", "mask", tmp_path) == taken
    assert precision_for("openvino", "auto", "mask", tmp_path) == taken and len(asked) == 2  # the second time it is on record
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")  # as good as another processor
    assert precision_for("openvino", "auto", "mask", tmp_path) == taken and len(asked) == 4
    (tmp_path / choose.FILE).write_text("{")
    assert precision_for("openvino", "auto", "mask", tmp_path) == taken and len(asked) == 6


def test_the_shipped_int8_file_finds_what_the_floats_find_on_this_processor() -> None:
    floats = load_model("mask")
    assert tried(floats, floats).agreement.overlap == 1
    assert tried(load_model("mask", precision="int8"), floats).agreement.holds


def test_what_the_network_does_not_come_in_is_refused() -> None:
    with pytest.raises(BadConfig, match=r"engine\.precision"):
        load_model("boxes", precision="int8")


def removed(precision: Precision, pictures: list[bytes]) -> list[Cells]:
    model = load_model("mask", precision=precision)
    opened = open_engine("openvino", EngineOptions(model.path, model.sha256))
    assert (opened.info.precision == "INT8") == (precision == "int8")
    try:
        detector = Detector(opened, "mask", model.threshold, model.again)
        return [redact(data, detector, Limits())[1].masks[0].cells for data in pictures]
    finally:
        opened.close()


def test_int8_removes_what_floats_remove() -> None:
    drawn = [screen(seed, (720, 1280)) for seed in range(3)]
    files = []
    for each in drawn:
        file = io.BytesIO()
        each.image.save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    for each, float_cells, int8_cells in zip(drawn, removed("float", files), removed("int8", files), strict=True):
        for top, left, bottom, right in each.boxes:
            for cells in (float_cells, int8_cells):
                assert cells[top // 16 : -(-bottom // 16), left // 16 : -(-right // 16)].mean() > 0.9
        assert (float_cells & int8_cells).sum() > 0.9 * (float_cells | int8_cells).sum() > 0
        grown = np.lib.stride_tricks.sliding_window_view(np.pad(float_cells, 1), (3, 3)).any(axis=(2, 3))
        assert not (int8_cells & ~grown).any()
