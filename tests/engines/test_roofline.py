"""The estimate's arithmetic."""

from __future__ import annotations

import pytest

from engines.roofline import MODULES, Module, Work, table, work_of


def test_the_longer_of_computing_and_moving_counts() -> None:
    module = Module("one SM at 1 GHz", 1, 1000, 1.0)
    best, worst = Work(macs=2048 * 10**6, moved=1).milliseconds(module, "INT8")  # a millisecond at the peak
    assert (best, worst) == (pytest.approx(1 / 0.45), pytest.approx(1 / 0.25))
    best, worst = Work(macs=1, moved=7 * 10**5).milliseconds(module, "FP16")  # 1.4 MB at 0.7 GB/s
    assert best == worst == pytest.approx(2.0)


def test_half_precision_takes_twice_as_long() -> None:
    work = Work(10**9, 10**8)
    assert all(work.milliseconds(one, "FP16")[0] == pytest.approx(2 * work.milliseconds(one, "INT8")[0]) for one in MODULES)


def test_the_shipped_network_is_counted() -> None:
    pytest.importorskip("openvino")
    from appliance.engine.model import load_model

    work = work_of(load_model("mask").path)
    stem = 16 * 288 * 480 * 27  # the first convolution alone: 3 x 3 x 3 at half the size
    assert work.macs > stem and work.moved > 3 * 576 * 960
    assert len(table(work).splitlines()) == 2 + len(MODULES)
