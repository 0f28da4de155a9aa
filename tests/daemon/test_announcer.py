"""Before the redactor starts: the builder is followed, and what it says reaches the page and systemd."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config import Config, load
from appliance.daemon.announcer import Announcer
from appliance.daemon.store import Box
from appliance.engine import ensure
from appliance.engine.ensure import ensure_plans
from appliance.errors import AnonBoxError, BadConfig, DeviceLost
from appliance.status import snapshot
from appliance.system import liveness
from appliance.web.texts import Words

CONFIG = Config()
GPU = replace(CONFIG, engine=replace(CONFIG.engine, name="tensorrt"))


def builder(*lines: str, status: int = 0, pause_s: float = 0.0) -> tuple[str, ...]:
    """A builder that says these lines and ends."""
    code = f"import sys, time\nfor line in {lines!r}:\n    print(line, flush=True)\n    time.sleep({pause_s})\nsys.exit({status})"
    return (sys.executable, "-c", code)


def said(*text: str) -> tuple[str, ...]:
    return tuple(json.dumps({"progress": one}) for one in text)


def test_progress_is_passed_on_step_by_step(tmp_path: Path) -> None:
    heard: list[str] = []
    ensure_plans(GPU, tmp_path, heard.append, builder=builder(*said("building INT8", "measuring INT8"), '{"done": "INT8 it is"}'))
    assert list(dict.fromkeys(heard)) == ["building INT8", "measuring INT8"]


def test_a_long_silence_is_bridged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensure, "SAID_EVERY_S", 0.05)
    heard: list[str] = []
    ensure_plans(GPU, tmp_path, heard.append, builder=builder(*said("building INT8"), '{"done": ""}', pause_s=0.4))
    assert heard.count("building INT8") >= 4


def test_a_librarys_word_in_between_is_passed_over(tmp_path: Path) -> None:
    heard: list[str] = []
    ensure_plans(GPU, tmp_path, heard.append, builder=builder("[TRT] hello", *said("building INT8"), "{", '{"done": ""}'))
    assert list(dict.fromkeys(heard)) == ["building INT8"]


def test_the_builder_ends_when_the_box_is_told_to(tmp_path: Path) -> None:
    code = "import json, os, time; print(json.dumps({'progress': str(os.getpid())}), flush=True); time.sleep(60)"
    heard: list[str] = []

    def leave(text: str) -> None:
        heard.append(text)
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        ensure_plans(GPU, tmp_path, leave, builder=(sys.executable, "-c", code))
    with pytest.raises(ProcessLookupError):
        os.kill(int(heard[0]), 0)


def test_openvino_builds_nothing(tmp_path: Path) -> None:
    ensure_plans(CONFIG, tmp_path, print, builder=("/no/such/program",))


@pytest.mark.parametrize(
    ("lines", "error", "text"),
    [
        (['{"bad_config": ["engine.name", "no TensorRT"]}'], BadConfig, "engine.name: no TensorRT"),
        (['{"down": "cuInit failed: 999"}'], DeviceLost, "cuInit failed: 999"),
        ([], DeviceLost, "the builder ended"),
        (list(said("building INT8")), DeviceLost, "the builder ended"),
    ],
    ids=["configuration", "device", "nothing", "killed half-way"],
)
def test_what_goes_wrong_is_told(tmp_path: Path, lines: list[str], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ensure_plans(GPU, tmp_path, lambda _: None, builder=builder(*lines, status=1))
    allowed = replace(GPU, engine=replace(GPU.engine, fallback="openvino"))
    ensure_plans(allowed, tmp_path, lambda _: None, builder=builder(*lines, status=1))


def test_the_page_and_systemd_hear_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        path = tmp_path / "state" / "status.json"
        Announcer(path, time.time() - 130)("building INT8, batch 1")
        assert systemd.recv(1000).decode().splitlines() == [
            "STATUS=Starting. Building INT8, batch 1 (2 min so far).",
            "EXTEND_TIMEOUT_USEC=60000000",
        ]
    shown = snapshot.read(path)
    assert (shown.state, shown.detail) == ("Starting", "Building INT8, batch 1 (2 min so far).")


def test_the_real_builder_says_why_there_is_no_engine_here(tmp_path: Path) -> None:
    """Wherever this runs without TensorRT or a GPU; with both it builds, which takes minutes, and is a GPU test."""
    from gpus import missing

    if not missing():
        pytest.skip("there is a GPU: see tests/engine/test_on_a_gpu.py")
    with pytest.raises((BadConfig, DeviceLost), match=r"TensorRT|pycuda|cuInit"):
        ensure_plans(GPU, tmp_path / "plans", lambda _: None)


def test_a_builder_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensure, "SAID_EVERY_S", 0.05)
    monkeypatch.setattr(liveness, "STILL_S", 0.3)
    with pytest.raises(DeviceLost, match="hangs"):
        ensure_plans(GPU, tmp_path, lambda _: None, builder=builder(*said("building INT8"), pause_s=60))
    busy = 'import time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass\nprint(\'{"done": ""}\')'
    ensure_plans(GPU, tmp_path, lambda _: None, builder=(sys.executable, "-c", busy))


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (
            BadConfig("engine.name", "no TensorRT"),
            "The configuration cannot be used: engine.name no TensorRT. Correct it, then restart the box.",
        ),
        (DeviceLost("cuInit", "999"), "The box cannot start: cuInit failed: 999. Restart it; if that does not help, its log says more."),
    ],
)
def test_what_it_ends_with_stays_on_the_page(tmp_path: Path, error: AnonBoxError, detail: str) -> None:
    path = tmp_path / "status.json"
    Announcer(path, time.time()).give_up(error)
    shown = snapshot.read(path, time.time() + 100)
    assert (shown.state, shown.detail) == ("Needs attention", detail)
    assert Words("de").said(detail).language == "de"
    Announcer(path, time.time())("preparing the network; the first time this takes long")
    shown = snapshot.read(path)
    assert (shown.state, shown.final, Words("de").said(shown.detail).language) == ("Starting", False, "de")


def test_a_second_box_leaves_the_page_of_the_first_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "status.json"
    box = Box(load(box=tmp_path).folders)
    try:
        snapshot.write(path, snapshot.Snapshot("Working"))
        second = Announcer(path, time.time())
        second("preparing")
        second.give_up(BadConfig("folders.state", "is in use"))
        assert snapshot.read(path, 0.0).state == "Working"
    finally:
        box.close()


def test_a_childs_processor_time_is_known_where_proc_hides_it() -> None:
    """In a mount namespace without /proc, as ProtectProc=invisible is for a process that may not be looked into."""
    look = "import subprocess, sys; from appliance.system.liveness import cpu_s"
    look += "; child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1)"
    look += "; sys.stdin.read(); print(cpu_s(child.pid)); child.kill(); child.wait()"
    hidden = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"']
    found = subprocess.run([*hidden, sys.executable, "-c", look], input="", capture_output=True, text=True, check=False)
    if "unshare:" in found.stderr or "mount:" in found.stderr:
        pytest.skip(f"no namespaces here: {found.stderr.strip()}")
    assert float(found.stdout) >= 0, found.stderr
    with pytest.raises(OSError, match="No such process"):
        liveness.cpu_s(2**22 + 1)
