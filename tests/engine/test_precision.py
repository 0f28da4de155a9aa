"""INT8 is taken only where the processor is made for it, and removes what floats remove."""

from __future__ import annotations

import io

import numpy as np
import pytest
from screens import screen

from appliance import engine
from appliance.engine import EngineOptions, open_engine, precision_for
from appliance.engine.model import load_model
from appliance.errors import BadConfig
from appliance.formats import Limits
from appliance.redactor.detector import Detector
from appliance.redactor.redact import redact
from appliance.types import Cells, Precision


@pytest.mark.parametrize("fast", [True, False])
def test_which_file_an_engine_gets(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "has_int8_products", lambda: fast)
    assert precision_for("openvino", "auto", "mask") == ("int8" if fast else "float")
    assert precision_for("openvino", "auto", "boxes") == "float"
    assert precision_for("tensorrt", "auto", "mask") == "float"
    assert [precision_for("openvino", wanted, "mask") for wanted in ("int8", "float")] == ["int8", "float"]


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


@pytest.mark.skipif(not engine.has_int8_products(), reason="this processor has no INT8 products: the box uses floats on it")
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
