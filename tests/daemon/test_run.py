"""The daemon as it really runs: lanes in threads, signals, inotify, the wall clock. Nothing sleeps; a redactor drives each test."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config import Config
from appliance.daemon.loop import Daemon
from appliance.errors import BadConfig
from appliance.types import Report

from .rig import Rig, ScriptedRedactor, clean, report


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("appliance.daemon.loop.notify", lambda *more: lines.extend(more))
    return lines


def rig_for(home: Path, behave: Callable[[bytes, bool], Report], lanes: int = 2) -> Rig:
    return Rig(home, ScriptedRedactor(behave, lanes), settle_s=0.0, sweep_s=0.05)


def run(rig: Rig, reload: Callable[[], Config] | None = None) -> int:
    return Daemon(rig.config, rig.redactor).run(reload or (lambda: rig.config))


def interrupting(number: int) -> Callable[[bytes, bool], Report]:
    """A redactor in whose hands the process gets a signal."""

    def behave(content: bytes, alone: bool) -> Report:
        os.kill(os.getpid(), number)
        return report()

    return behave


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_finishes_what_is_in_hand_and_ends_well(home: Path, said: list[str], number: int) -> None:
    before = signal.getsignal(number)
    rig = rig_for(home, interrupting(number))
    rig.drop("a.jpg", b"jpeg a")
    assert run(rig) == 0
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg a")}
    assert rig.files("work") == {}
    assert rig.look().state == "Stopped"
    assert [line for line in said if "=1" in line] == ["READY=1", "STOPPING=1"]
    assert signal.getsignal(number) is before


def test_does_not_wait_for_ever_for_a_lane_that_hangs(home: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.daemon.loop.STOP_S", 0.05)
    over = threading.Event()

    def behave(content: bytes, alone: bool) -> Report:
        os.kill(os.getpid(), signal.SIGTERM)
        over.wait(10)
        return report()

    rig = rig_for(home, behave)
    rig.drop("a.jpg")
    daemon = Daemon(rig.config, rig.redactor)
    assert daemon.run(lambda: rig.config) == 0
    assert list(rig.files("work").values()) == [b"jpeg"]
    with pytest.raises(BadConfig, match="in use"):
        Daemon(rig.config, rig.redactor)
    over.set()
    daemon._threads.shutdown()
    daemon._box.close()
    daemon = Daemon(rig.config, rig.redactor)
    daemon._stopping = True
    assert daemon.run(lambda: rig.config) == 0
    assert (list(rig.files("out")), rig.files("work")) == (["E000001/0001.jpg"], {})


def test_hangup_reads_the_configuration_again(home: Path, said: list[str]) -> None:
    rig = rig_for(home, interrupting(signal.SIGHUP))
    rig.drop("a.jpg")

    def reload() -> Config:
        os.kill(os.getpid(), signal.SIGTERM)
        return replace(rig.config, intake=replace(rig.config.intake, watch=True))

    assert run(rig, reload) == 0
    assert said.count("READY=1") == 2


def test_waits_without_spinning_until_inotify_wakes_it(home: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The next sweep is an hour away and the daemon has nothing to do: only an event can bring the picture through."""
    rig = rig_for(home, interrupting(signal.SIGTERM))
    rig.set(watch=True, sweep_s=3600.0)
    rig.inbox.mkdir()
    waits: list[float] = []
    wait = Daemon._wait

    def count(daemon: Daemon, now: float, stop_by: float | None) -> None:
        waits.append(now)
        wait(daemon, now, stop_by)

    monkeypatch.setattr(Daemon, "_wait", count)
    over = threading.Event()

    def deliver() -> None:
        names = itertools.count()
        while not over.wait(0.05):  # again and again: inotify takes a moment to begin
            rig.drop(f"{next(names)}.jpg")

    delivery = threading.Thread(target=deliver)
    delivery.start()
    try:
        assert run(rig) == 0
    finally:
        over.set()
        delivery.join()
    assert len(rig.files("out")) >= 1
    assert len(waits) < 50
