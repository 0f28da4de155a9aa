"""The self-test: passes here for real, and fails where it must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gpus import shipped_model, standing_in
from tensorrts import Fake

from appliance.checks import rehearsal, selftest
from appliance.checks.rehearsal import Failed, check_covered, encoded
from appliance.checks.selftest import NotApplicable, SelfTest
from appliance.config import Config
from appliance.engine import EngineOptions, build, compile, measure
from appliance.engine.model import load_model
from appliance.engine.reference import frame
from appliance.errors import BadConfig

CONFIG = Config().folders.resolved()
CPU = replace(Config(), folders=CONFIG)
GPU = replace(CPU, engine=replace(CPU.engine, name="tensorrt"))


def on(config: Config, cache: Path, root: Path = Path("/")) -> SelfTest:
    return SelfTest(config, cache, lambda _: None, root)


@pytest.mark.slow
def test_it_passes_here_and_reports_in_the_given_form(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "appliance", "selftest", "--json", "--box", str(tmp_path / "box")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    report = json.loads(done.stdout)
    assert report.keys() == {"ok", "checks"}
    assert all(check.keys() == {"name", "status", "detail"} for check in report["checks"])
    failed = [check for check in report["checks"] if check["status"] not in {"passed", "not applicable"}]
    assert (done.returncode, report["ok"], failed) == (0, True, [])
    passed = {check["name"] for check in report["checks"] if check["status"] == "passed"}
    assert {"engine", "reference masks", "redactor and sandbox", "hung redactor", "whole box and watchdog"} <= passed
    assert not (tmp_path / "box").exists()


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SelfTest]:
    """The self-test of a box with a GPU that is a stand-in, its engine open."""
    monkeypatch.setattr(measure, "RUNS", 1)
    monkeypatch.setattr(compile, "NVCC", ("no-such-compiler",))
    model = load_model("mask")

    def ensure_here(config: Config, folder: Path, say: object) -> None:
        build.choose(EngineOptions(model.path, model.sha256, cache=folder), lambda _: None)

    monkeypatch.setattr(selftest, "ensure_plans", ensure_here)
    with standing_in(Fake("10.3.0.30", compute=shipped_model(), size=(576, 960))):
        test = on(GPU, tmp_path / "plans")
        test.plans()
        test.opened()
        yield test
        test._opened().close()


def test_on_a_gpu_it_says_what_was_measured_and_that_nothing_is_copied(gpu: SelfTest) -> None:
    assert gpu.masks().count("0 lines missed") == 2
    assert "INT8" in gpu.precisions() and "FP16" in gpu.precisions() and "peak" in gpu.precisions()
    assert gpu.buffers() == "frame in mapped memory 50.00 ms, frame in device memory with a copy 50.00 ms"
    assert gpu.zero_copy().startswith("0 bytes copied")
    assert gpu.steady()


def test_a_copy_is_a_failure(gpu: SelfTest, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = iter([gpu._gpu().facts(), replace(gpu._gpu().facts(), copied_bytes=1658880)])
    monkeypatch.setattr(gpu._gpu(), "facts", lambda: next(facts))
    with pytest.raises(Failed, match="1658880 bytes copied"):
        gpu.zero_copy()


def test_an_engine_that_sees_less_than_the_reference_fails(gpu: SelfTest, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = gpu._opened()
    monkeypatch.setattr(engine, "run", lambda slot: slot.score.fill(0))
    with pytest.raises(Failed, match="lines missed"):
        gpu.masks()


def test_an_engine_that_changes_its_mind_fails(gpu: SelfTest, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = np.random.default_rng(1)
    monkeypatch.setattr(gpu._opened(), "run", lambda slot: slot.score.fill(dice.integers(256)))
    with pytest.raises(Failed, match="differ by up to"):
        gpu.steady()


def test_without_a_gpu_its_checks_do_not_apply(tmp_path: Path) -> None:
    test = on(CPU, tmp_path)
    for check in (test.plans, test.precisions, test.buffers, test.zero_copy):
        with pytest.raises(NotApplicable, match="runs on the CPU"):
            check()


def test_an_engine_that_cannot_be_opened_fails_and_so_does_all_that_needs_it(tmp_path: Path) -> None:
    test = on(GPU, tmp_path)
    with pytest.raises(BadConfig):
        test.opened()
    with pytest.raises(Failed, match="could not be opened"):
        test.masks()


def test_a_fallback_does_not_hide_a_broken_engine(tmp_path: Path) -> None:
    allowed = replace(GPU, engine=replace(GPU.engine, fallback="openvino"))
    with pytest.raises(BadConfig):
        on(allowed, tmp_path).opened()
    assert on(allowed, tmp_path)._strict.engine.fallback == "none"


def test_nodes_that_are_closed_to_the_user_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotApplicable):
        on(CPU, tmp_path, tmp_path).nodes()
    for name in ("dev/nvmap", "dev/nvhost-gpu", "dev/nvgpu/igpu0/ctrl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert on(CPU, tmp_path, tmp_path).nodes().endswith("may open all 3")
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "nvmap")
    with pytest.raises(Failed, match=r"may not open /dev/nvmap; usermod -aG \w+"):
        on(CPU, tmp_path, tmp_path).nodes()


def test_sensors_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    with pytest.raises(NotApplicable):
        on(CPU, tmp_path, tmp_path).sensors()
    (tmp_path / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 1")
    with pytest.raises(Failed, match="the GPU's clock, the GPU's load, temperatures, power cannot be read"):
        on(CPU, tmp_path, tmp_path).sensors()


def test_text_that_is_left_is_seen() -> None:
    shown = frame(1, (1080, 1920))
    with pytest.raises(Failed, match="8 of 8 planted lines"):
        check_covered(shown, encoded(shown, "PNG"))
    black = replace(shown, pixels=np.zeros_like(shown.pixels))
    with pytest.raises(Failed, match="nearly all"):
        check_covered(shown, encoded(black, "PNG"))


def test_a_box_that_does_not_start_is_told_with_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "PATIENCE_S", 3.0)
    with pytest.raises(Failed, match=r"said nothing for 3 s: anonbox: configuration: .*(pycuda|TensorRT)"):
        rehearsal.run_box(GPU, tmp_path)


def test_an_unforeseen_error_is_a_failure_not_a_crash() -> None:
    def lost() -> str:
        raise OSError(13, "Permission denied")

    assert selftest._outcome("it", lost) == selftest.Check("it", "failed", "PermissionError: [Errno 13] Permission denied")
