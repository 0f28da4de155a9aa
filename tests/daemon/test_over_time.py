"""The daemon over hours and restarts: examinations, retention, recovery, watchdog, reloading."""

from __future__ import annotations

import errno
import itertools
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.config import Config, Limits
from appliance.daemon.loop import OVERDUE_S, Daemon
from appliance.daemon.sources.drop_folder import Collector
from appliance.daemon.store import Box
from appliance.errors import BadConfig, BadFile
from appliance.types import Report

from .rig import Rig, ScriptedRedactor, report

MakeRig = Callable[..., Rig]


def test_a_folder_untouched_for_long_starts_a_new_examination(make_rig: MakeRig) -> None:
    rig = make_rig(examination_idle_s=600.0)
    rig.start()
    for wait in (100, 500, 700):
        rig.drop("DCIM/100/1.jpg", f"jpeg {wait}".encode())
        rig.go(wait)
    rig.drop("DCIM/100/1.jpg", b"jpeg last")
    rig.go(10)
    assert list(rig.files("out")) == ["E000001/0001.jpg", "E000001/0002.jpg", "E000001/0003.jpg", "E000002/0001.jpg"]


def test_a_restart_goes_on_with_an_examination_but_a_reboot_does_not(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.start()
    for content in (b"jpeg 1", b"jpeg 2", b"jpeg 3"):
        rig.drop("a/1.jpg", content)
        rig.go()
        if content == b"jpeg 2":
            monkeypatch.setattr("appliance.daemon.loop.boot_id", lambda: "another boot")
        rig.restart()
    assert list(rig.files("out")) == ["E000001/0001.jpg", "E000001/0002.jpg", "E000002/0001.jpg"]


def test_emptied_folders_go_when_they_stayed_empty(make_rig: MakeRig) -> None:
    rig = make_rig(examination_idle_s=100.0)
    rig.start()
    rig.drop("a/b/1.jpg")
    (rig.inbox / "never used").mkdir()
    rig.go(60)
    assert (rig.inbox / "a/b").is_dir()
    rig.go(160)
    assert not (rig.inbox / "a/b").exists()
    rig.go(160)
    assert sorted(path.name for path in rig.inbox.iterdir()) == ["a", "never used"]


def test_originals_stay_for_the_retention(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig(keep_originals_days=1.0)
    rig.start()
    rig.drop("a.jpg")
    rig.go()
    rig.wall -= 10 * 365 * 86400  # a clock that jumps back
    rig.go(43200, step=600)
    rig.wall += 30 * 365 * 86400  # and far ahead
    rig.go(36000, step=600)
    monkeypatch.setattr("appliance.daemon.loop.boot_id", lambda: "another boot")
    rig.wall -= 86400 * 365
    rig.restart()
    rig.go(600, step=60)
    assert list(rig.files("done")) == ["E000001/0001-a.jpg"]
    rig.go(10000, step=600)
    assert rig.files("done") == {}
    assert list(rig.config.folders.done.iterdir()) == []
    assert rig.rows("SELECT state FROM picture") == [("finished",)]
    assert rig.look().done_ever == 1


def test_originals_go_at_once_when_none_are_kept(make_rig: MakeRig) -> None:
    rig = make_rig(keep_originals_days=0.0)
    rig.start()
    rig.drop("a.jpg")
    rig.go()
    assert len(rig.files("out")) == 1
    assert rig.files("done") == rig.files("work") == {}
    assert rig.rows("SELECT state FROM picture") == [("finished",)]


def test_never_more_than_two_a_lane_are_taken_ahead(make_rig: MakeRig) -> None:
    rig = make_rig(ScriptedRedactor(lanes=1))
    rig.start()
    for index in range(10):
        rig.drop(f"{index}.jpg")
    most = 0
    for _ in range(20):
        rig.go(1)
        most = max(most, len(rig.files("work")) + len(rig.files("done")) - rig.look().done_ever)
    assert most <= 2
    assert rig.look().done_ever == 10


def test_a_lost_journal_costs_counts_but_no_file_and_no_number(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a/1.jpg", b"jpeg 1")
    rig.go()
    rig.drop("a/2.jpg", b"incomplete")
    rig.go()
    assert list(rig.files("work")) == ["E000001-0002/2.jpg"]
    rig.close()
    (rig.config.folders.state / "journal.sqlite").write_bytes(b"rubbish" * 1000)
    rig.redactor.behave = lambda content, alone: report()
    rig.restart()
    rig.drop("a/3.jpg", b"jpeg 3")
    rig.go()
    assert rig.look().state == "Needs attention"
    assert "moved aside" in rig.look().detail
    assert list(rig.files("out")) == ["E000001/0001.jpg", "E000001/0002.jpg", "E000002/0001.jpg"]
    assert (rig.config.folders.state / "journal.sqlite.broken-1").exists()
    rig.set(keep_originals_days=0.0)
    rig.restart()
    rig.go(120)
    assert rig.files("done") == {}
    assert rig.look().state == "Ready"


def test_a_second_daemon_is_refused(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    with pytest.raises(BadConfig, match="in use by another AnonBox"):
        Daemon(rig.config, rig.redactor)
    rig.close()
    rig.start()


def test_folders_that_cannot_be_used_are_named(make_rig: MakeRig, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    normal = rig.config
    rig.config = replace(normal, folders=replace(normal.folders, out=rig.inbox / "out"))
    with pytest.raises(BadConfig, match=r"folders\.out: .* lies in folders\.inbox"):
        rig.start()
    (home / "file").touch()
    rig.config = replace(normal, folders=replace(normal.folders, done=home / "file"))
    with pytest.raises(BadConfig, match=r"folders\.done: .* is not a folder"):
        rig.start()
    rig.config = replace(normal, folders=replace(normal.folders, quarantine=home / "file/below"))
    with pytest.raises(BadConfig, match=r"folders\.quarantine: .* cannot be made by user"):
        rig.start()
    rig.config = normal
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(BadConfig, match=r"folders\.inbox: .* cannot be written by user"):
        rig.start()


def test_the_watchdog_hears_only_of_good_turns(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("appliance.daemon.loop.notify", lambda *lines: said.extend(lines))
    monkeypatch.setattr("appliance.daemon.loop.watchdog_s", lambda: 15.0)
    rig = make_rig()
    rig.start()
    rig.go(60)
    assert said.count("WATCHDOG=1") == 4
    assert said.count("STATUS=Ready. ") == 1
    said.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Box, "free_bytes", lambda box: 1 // 0)
        rig.go(60)
        assert said.count("WATCHDOG=1") == 0
        assert rig.look().state == "Needs attention"
        assert f"ZeroDivisionError at {Path(__file__).name}" in rig.look().detail
    rig.go(20)
    assert "WATCHDOG=1" in said


def test_a_job_that_hangs_silences_the_watchdog(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("appliance.daemon.loop.notify", lambda *lines: said.extend(lines))
    monkeypatch.setattr("appliance.daemon.loop.watchdog_s", lambda: 15.0)
    rig = make_rig()
    daemon = rig.start()
    rig.drop("a.jpg")
    monkeypatch.setattr(daemon, "_collect", lambda now: None)  # as if its lane never came back
    rig.go(rig.config.limits.job_s + OVERDUE_S + 20)
    said.clear()
    rig.go(60)
    assert said == []
    assert "too long" in rig.look().detail


def test_the_snapshot_is_written_when_something_changed_and_now_and_then(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[float] = []
    monkeypatch.setattr("appliance.status.snapshot.write", lambda path, snapshot: written.append(snapshot.written_at))
    monkeypatch.setattr(Box, "free_bytes", lambda box: 1 << 40)  # others write to this disk too, and the view would change
    rig = make_rig()
    rig.start()
    rig.go(20, step=0.1)
    assert 4 <= len(written) <= 7
    assert max(later - sooner for sooner, later in itertools.pairwise(written)) < 6


def test_a_status_file_that_cannot_be_written_stops_nothing(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("appliance.status.snapshot.write", full)
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")
    rig.go()
    assert len(rig.files("out")) == 1


def test_a_large_file_is_not_copied_from_another_file_system(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def elsewhere(source: Any, target: Any, **more: Any) -> None:
        if "src_dir_fd" in more:
            raise OSError(errno.EXDEV, "other file system")
        rename(source, target, **more)

    monkeypatch.setattr(os, "rename", elsewhere)
    rig = make_rig()
    rig.config = replace(rig.config, limits=Limits(file_mib=1))
    rig.start()
    rig.drop("a/large.jpg", b"x" * ((1 << 20) + 1))
    rig.drop("a/small.jpg", b"jpeg")
    rig.go()
    assert (list(rig.files("out")), list(rig.files("inbox"))) == (["E000001/0001.jpg"], ["a/large.jpg"])
    assert [reason.split(":")[0] for reason in rig.look().left] == ["larger than limits.file_mib and on another file system"]


def test_reloading_takes_over_what_may_change(make_rig: MakeRig, caplog: pytest.LogCaptureFixture) -> None:
    rig = make_rig()
    daemon = rig.start()

    def broken() -> Config:
        raise BadConfig("intake.settle_s", "is -1, must be between 0 and 3600 s")

    daemon._reload(broken)
    assert "intake.settle_s: is -1" in caplog.text
    rig.set(settle_s=500.0)
    daemon._reload(lambda: replace(rig.config, limits=Limits(job_s=1.0)))
    assert "[limits] changed and needs a restart" in caplog.text
    rig.drop("a.jpg")
    rig.go(100)
    assert rig.files("out") == {}
    rig.go(450)
    assert len(rig.files("out")) == 1


def test_thousands_of_files_wait_cheaply(make_rig: MakeRig) -> None:
    rig = make_rig(ScriptedRedactor(lanes=1))
    rig.start()
    for index in range(3000):
        rig.drop(f"{index % 30}/{index}.jpg")
    began = time.perf_counter()
    rig.go(10)
    assert rig.look().waiting > 2900
    assert time.perf_counter() - began < 5


def test_events_do_not_make_it_list_thousands_of_files_while_there_is_enough_to_do(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(ScriptedRedactor(lanes=1), sweep_s=5.0)
    daemon = rig.start()
    for index in range(300):
        rig.drop(f"{index}.jpg")
    rig.go(4)
    sweeps: list[float] = []
    monkeypatch.setattr(Collector, "sweep", lambda self, now, sweep=Collector.sweep: (sweeps.append(now), sweep(self, now)))
    for _ in range(100):
        daemon._on_event()
        rig.go(0.3, 0.3)
    assert len(rig.files("out")) > 100 and len(sweeps) == 6
    rig.go(400, 0.3)
    assert len(rig.files("out")) == 300


def test_the_page_sees_that_a_daemon_stopped(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    assert rig.look().state == "Starting"
    rig.go()
    rig.close()
    rig.close()
    assert rig.look().state == "Stopped"


def test_a_swapped_file_is_refused(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")
    room = rig.config.folders.state / "work/E000001-0001"
    with pytest.MonkeyPatch.context() as patch:
        settle = Box.settle

        def swap(box: Box, number: Any) -> None:
            (room / "a.jpg").unlink()
            (room / "a.jpg").symlink_to("/etc/passwd")
            settle(box, number)

        patch.setattr(Box, "settle", swap)
        rig.go()
    assert rig.redactor.calls == []
    assert rig.reason("E000001/0001")["code"] == "unreadable"
    assert (rig.config.folders.quarantine / "E000001/0001/a.jpg").is_symlink()


def test_what_is_in_out_is_not_redacted_again_after_a_restart(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        patch.setattr("appliance.daemon.journal.Journal.published", full)
        rig.go()
        rig.close()

    def too_slow(content: bytes, alone: bool) -> Report:
        raise BadFile("timeout", "took longer than 60 s")

    rig.redactor.behave = too_slow
    rig.restart()
    rig.go()
    assert (rig.look().done_ever, rig.look().refused_ever, len(rig.files("out"))) == (1, 0, 1)


def test_a_copy_whose_source_cannot_be_removed_is_given_up(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")

    def elsewhere(source: Any, target: Any, **more: Any) -> None:
        raise OSError(errno.EXDEV, "other file system")

    unlink = os.unlink

    def sticky(path: Any, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None:
            raise PermissionError(errno.EPERM, "sticky folder")
        unlink(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", elsewhere)
        patch.setattr(os, "unlink", sticky)
        patch.setattr(Path, "rename", lambda path, target: os.replace(path, target))
        rig.go()
    assert (rig.files("work"), rig.files("out"), list(rig.files("inbox"))) == ({}, {}, ["a.jpg"])
    rig.go(70)
    assert (list(rig.files("out")), rig.files("inbox")) == (["E000001/0001.jpg"], {})
