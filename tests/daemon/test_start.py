"""The start on a disk that is full or fails: nothing is printed that names a file, and it goes on by itself."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.config import Config
from appliance.daemon import start
from appliance.daemon.loop import Daemon
from appliance.daemon.start import LONGEST_PAUSE_S, run_box
from appliance.errors import BadConfig
from appliance.status import snapshot
from appliance.types import Report

from .rig import Rig, ScriptedRedactor, clean, report

SECRET = "/box/in/Mustermann_Max.jpg"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    for module in ("start", "loop"):
        monkeypatch.setattr(f"appliance.daemon.{module}.notify", lambda *more: lines.extend(more))
    return lines


def stopping(content: bytes, alone: bool) -> Report:
    os.kill(os.getpid(), signal.SIGTERM)
    return report()


class Faulty:
    """A disk on which the journal cannot be opened until it is mended, and the wait in which that happens."""

    def __init__(self, rig: Rig, patch: pytest.MonkeyPatch, error: Exception, during: Callable[[float], None]) -> None:
        self.rig, self.error, self.during = rig, error, during
        self.broken = True
        self.waits: list[float] = []
        self.tries: list[float] = []
        self._opens = start.Daemon
        patch.setattr(start, "Daemon", self._open)
        patch.setattr("appliance.daemon.journal.Journal.last_mark", self._last_mark)

    def _open(self, *arguments: Any, **named: Any) -> Daemon:
        self.tries.append(self.rig.now)
        return self._opens(*arguments, **named)

    def _last_mark(self) -> None:
        if self.broken:
            raise self.error

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.rig.now += seconds
        self.rig.wall += seconds
        self.during(sum(self.waits))

    def run(self, reload: Callable[[], Config] | None = None) -> int:
        rig = self.rig
        return run_box(
            rig.config, rig.redactor, reload or (lambda: rig.config), clock=lambda: rig.wall, monotonic=lambda: rig.now, wait=self.wait
        )


def rig_for(home: Path) -> Rig:
    rig = Rig(home, ScriptedRedactor(stopping, lanes=1), settle_s=0.0, sweep_s=0.01)
    rig.drop("a.jpg", b"jpeg a")
    return rig


FAULTS = [
    (sqlite3.OperationalError("database or disk is full"), "Waiting for space"),
    (OSError(errno.ENOSPC, "No space left on device", SECRET), "Waiting for space"),
    (OSError(errno.EIO, "Input/output error", SECRET), "Needs attention"),
    (sqlite3.OperationalError(f"unable to open database file {SECRET}"), "Needs attention"),
]


@pytest.mark.parametrize(("error", "state"), FAULTS, ids=["journal full", "full", "broken", "journal"])
def test_waits_until_the_disk_lets_it_and_goes_on(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    said: list[str],
    error: Exception,
    state: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    rig = rig_for(home)
    seen: list[str] = []

    def during(waited: float) -> None:
        seen.append(rig.look().state)
        box.broken = waited < 300

    box = Faulty(rig, monkeypatch, error, during)
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(start, "watchdog_s", lambda: 3.0)
    monkeypatch.setattr(Daemon, "run", close_at_once)
    assert box.run() == 0
    assert set(seen) == {state}
    pauses = [later - sooner for sooner, later in zip(box.tries, box.tries[1:])]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert max(pauses) == LONGEST_PAUSE_S
    assert max(box.waits) == 3.0
    assert said.count("WATCHDOG=1") == len(box.waits)
    assert said.count("READY=1") == 1
    assert [line for line in caplog.messages if line.startswith(state)] == [f"{state}: {rig_detail(said)}"]
    assert caplog.messages.count("Starting") == 1
    assert "Mustermann" not in caplog.text + "".join(said) + "".join(capfd.readouterr())
    assert rig.look().state == "Stopped"
    assert signal.getsignal(signal.SIGTERM) is before


def close_at_once(daemon: Daemon, reload: Callable[[], Config]) -> int:
    """In place of Daemon.run, for a clock that stands."""
    daemon.close()
    return 0


def rig_detail(said: list[str]) -> str:
    """What systemd was told beside the state."""
    return next(line for line in said if line.startswith("STATUS=")).partition(". ")[2]


def test_the_pictures_come_through_afterwards(home: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    rig = rig_for(home)
    tries = iter([OSError(errno.ENOSPC, "full"), sqlite3.OperationalError("database or disk is full")])

    def last_mark(journal: object) -> None:
        for error in tries:
            raise error

    monkeypatch.setattr("appliance.daemon.journal.Journal.last_mark", last_mark)
    moved = [0.0]

    def wait(seconds: float) -> None:
        moved[0] += seconds

    real = start.time.monotonic
    assert run_box(rig.config, rig.redactor, lambda: rig.config, monotonic=lambda: real() + moved[0], wait=wait) == 0
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg a")}
    assert moved[0] == pytest.approx(3.0, abs=0.5)


@pytest.mark.parametrize(("free", "state"), [(1 << 19, "Waiting for space"), (1 << 30, "Needs attention")])
def test_an_io_error_of_the_journal_on_a_nearly_full_disk_is_lack_of_space(
    home: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], free: int, state: str
) -> None:
    rig = rig_for(home)
    seen: list[str] = []

    def during(waited: float) -> None:
        seen.append(rig.look().state)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=free >> 12, f_frsize=1 << 12))
    assert Faulty(rig, monkeypatch, sqlite3.OperationalError("disk I/O error"), during).run() == 0
    assert seen == [state]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_waiting(home: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], number: int) -> None:
    rig = rig_for(home)
    box = Faulty(rig, monkeypatch, OSError(errno.ENOSPC, "full"), lambda waited: os.kill(os.getpid(), number))
    assert box.run() == 0
    assert (len(box.tries), len(box.waits)) == (1, 1)
    assert said[-1] == "STOPPING=1"
    assert rig.look().state == "Stopped"
    assert list(rig.files("inbox")) == ["a.jpg"]


def test_a_signal_just_before_the_real_wait_ends_it_too(home: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    rig = rig_for(home)

    def fail(journal: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("appliance.daemon.journal.Journal.last_mark", fail)
    monkeypatch.setattr(start, "FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(start, "SLOWEST_S", 1000.0)
    monkeypatch.setattr(start, "notify", lambda *lines: os.kill(os.getpid(), signal.SIGTERM))
    assert run_box(rig.config, rig.redactor, lambda: rig.config) == 0
    assert rig.look().state == "Stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_of_the_opening_reach_the_daemon(home: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], number: int) -> None:
    rig = rig_for(home)
    monkeypatch.setattr("appliance.daemon.journal.Journal.last_mark", lambda journal: os.kill(os.getpid(), number))
    read: list[int] = []

    def reload() -> Config:
        read.append(number)
        return rig.config

    assert run_box(rig.config, rig.redactor, reload) == 0
    assert read == ([signal.SIGHUP] if number == signal.SIGHUP else [])
    assert rig.look().state == "Stopped"
    assert len(rig.files("out")) == (1 if number == signal.SIGHUP else 0)


def test_a_status_file_that_cannot_be_written_is_said_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, said: list[str]
) -> None:
    rig = rig_for(home)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full", SECRET)

    def during(waited: float) -> None:
        if waited > 100:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(snapshot, "write", full)
    assert Faulty(rig, monkeypatch, OSError(errno.ENOSPC, "full", SECRET), during).run() == 0
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "status.json cannot be written: OSError: No space left on device"
    ]


def test_a_wrong_configuration_is_not_waited_for(home: Path, said: list[str]) -> None:
    rig = rig_for(home)
    (home / "done").touch()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(BadConfig, match=r"folders\.done"):
        run_box(rig.config, rig.redactor, lambda: rig.config, wait=lambda seconds: pytest.fail("waited"))
    assert signal.getsignal(signal.SIGTERM) is before
