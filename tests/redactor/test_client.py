"""The daemon's end of the line, with a scripted process at the other: every way a redactor can fail."""

from __future__ import annotations

import dataclasses
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.config import Config, EngineSection, Limits, load
from appliance.errors import BadConfig, BadFile, DeviceLost, RedactorDown
from appliance.redactor import client
from appliance.redactor.client import RedactorProcess
from appliance.system import liveness
from appliance.types import Report

SCRIPT = str(Path(__file__).with_name("scripted_child.py"))
Start = Callable[..., RedactorProcess]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return dataclasses.replace(load(box=tmp_path), engine=EngineSection(lanes=2), limits=Limits(job_s=20.0))


@pytest.fixture
def start(config: Config) -> Iterator[Start]:
    started: list[RedactorProcess] = []

    def start_(greeting: str = "good", **limits: float) -> RedactorProcess:
        changed = dataclasses.replace(config, limits=dataclasses.replace(config.limits, **limits))
        started.append(RedactorProcess(changed, changed.folders.state, (sys.executable, SCRIPT, greeting)))
        return started[-1]

    yield start_
    for redactor in started:
        redactor.close()


def redact(redactor: RedactorProcess, word: str, tmp_path: Path, *, alone: bool = False) -> tuple[Report, bytes]:
    source, target = tmp_path / f"{word}-{threading.get_ident()}", tmp_path / f"out-{word}-{threading.get_ident()}"
    source.write_text(word)
    with open(source, "rb") as reader, open(target, "w+b") as writer:
        report = redactor.redact(reader.fileno(), writer.fileno(), alone=alone)
        return report, os.pread(writer.fileno(), 100, 0)


def test_a_picture_goes_through(start: Start, tmp_path: Path) -> None:
    redactor = start()
    assert (redactor.lanes, redactor.info.name) == (2, "scripted")
    report, result = redact(redactor, "fine", tmp_path)
    assert (report.format, result) == ("jpeg", b"result")
    assert redactor.peak_mib() > 1


def test_a_start_that_takes_long_is_told_of_again_and_again(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SAID_EVERY_S", 0.05)
    heard: list[str] = []
    redactor = RedactorProcess(config, tmp_path, (sys.executable, SCRIPT, "late"), heard.append)
    try:
        assert len(heard) >= 5 and "preparing the network" in heard[0]
        told = len(heard)
        with pytest.raises(DeviceLost):
            redact(redactor, "die", tmp_path)
        assert redact(redactor, "fine", tmp_path)
        assert len(heard) == told, "the next ones start while the box is at work"
    finally:
        redactor.close()


def test_a_start_that_hangs_is_not_waited_for(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SAID_EVERY_S", 0.05)
    monkeypatch.setattr(liveness, "STILL_S", 0.3)
    with pytest.raises(RedactorDown, match="hangs"):
        RedactorProcess(config, tmp_path, (sys.executable, SCRIPT, "stuck"))


def test_a_refused_picture_costs_nothing_else(start: Start, tmp_path: Path) -> None:
    redactor = start()
    with pytest.raises(BadFile, match="broken picture") as caught:
        redact(redactor, "damaged", tmp_path)
    assert caught.value.code == "damaged"
    assert redact(redactor, "fine", tmp_path)


def test_a_full_disk_is_neither_the_files_fault_nor_the_redactors(start: Start, tmp_path: Path) -> None:
    redactor = start()
    with pytest.raises(OSError) as caught:
        redact(redactor, "full", tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert redact(redactor, "fine", tmp_path)


@pytest.mark.parametrize("word", ["die", "lost"])
def test_in_company_the_file_may_be_innocent(start: Start, tmp_path: Path, word: str) -> None:
    redactor = start()
    with pytest.raises(DeviceLost):
        redact(redactor, word, tmp_path)
    assert redact(redactor, "fine", tmp_path)[1] == b"result"


def test_alone_the_file_is_to_blame(start: Start, tmp_path: Path) -> None:
    redactor = start()
    with pytest.raises(BadFile) as caught:
        redact(redactor, "die", tmp_path, alone=True)
    assert caught.value.code == "crash"
    assert redact(redactor, "fine", tmp_path)


def test_a_picture_that_takes_too_long(start: Start, tmp_path: Path) -> None:
    redactor = start(job_s=0.2)
    with pytest.raises(DeviceLost, match="no answer"):
        redact(redactor, "hang", tmp_path)
    with pytest.raises(BadFile, match=r"limits\.job_s") as caught:
        redact(redactor, "hang", tmp_path, alone=True)
    assert caught.value.code == "timeout"
    assert redact(redactor, "fine", tmp_path)


def test_a_neighbour_hears_that_the_process_died(start: Start, tmp_path: Path) -> None:
    redactor = start()
    heard: list[Exception] = []

    def slow() -> None:
        try:
            redact(redactor, "slow", tmp_path)
        except DeviceLost as error:
            heard.append(error)

    neighbour = threading.Thread(target=slow)
    neighbour.start()
    while redactor._child and redactor._child.idle.qsize() == 2:
        pass
    with pytest.raises(DeviceLost):
        redact(redactor, "die", tmp_path)
    neighbour.join()
    assert len(heard) == 1
    assert redact(redactor, "fine", tmp_path)


def test_a_process_killed_while_idle_is_replaced(start: Start, tmp_path: Path) -> None:
    redactor = start()
    assert redactor._child
    redactor._child.process.kill()
    redactor._child.process.wait()
    assert redact(redactor, "fine", tmp_path)


def test_a_machine_on_which_nothing_lives_is_left_in_peace(start: Start, tmp_path: Path) -> None:
    redactor = start()
    for _ in range(client.MOST_STARTS):
        with pytest.raises(DeviceLost):
            redact(redactor, "die", tmp_path)
    with pytest.raises(RedactorDown, match="waiting"):
        redact(redactor, "fine", tmp_path)


def test_what_was_good_at_the_start_is_not_held_against_a_picture(start: Start, tmp_path: Path) -> None:
    """A plan that an update of TensorRT made stale, weights that were taken away: jobs wait, none is counted and refused."""
    redactor = start()
    redactor._program = (sys.executable, SCRIPT, "bad-config")
    with pytest.raises(DeviceLost):
        redact(redactor, "die", tmp_path)
    with pytest.raises(RedactorDown, match="are gone"):
        redact(redactor, "fine", tmp_path)


def test_what_the_process_says_when_it_cannot_start(start: Start) -> None:
    with pytest.raises(BadConfig, match="weights"):
        start("bad-config")
    with pytest.raises(RedactorDown, match="on fire"):
        start("broken")
    with pytest.raises(RedactorDown, match="ended while it started"):
        start("silent")


def test_a_missing_sandbox_is_said(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    start("unlocked")
    assert "without a sandbox" in caplog.text


def test_closing_leaves_nothing_behind(start: Start) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    redactor = start()
    redactor.close()
    redactor.close()
    assert set(Path("/proc/self/fd").iterdir()) == before
    with pytest.raises(RedactorDown):
        _ = redactor.info
    with pytest.raises(RedactorDown, match="closed"):
        redactor.redact(0, 0)
