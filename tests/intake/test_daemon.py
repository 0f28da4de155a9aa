"""The daemon turn by turn: clocks stand until a test moves them, and a lane's work is done when it is given."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.config import Config, Limits
from appliance.errors import BadConfig, BadFile, DeviceLost, RedactorDown
from appliance.intake import folders as folders_module
from appliance.intake.collector import LEFT_S
from appliance.intake.daemon import OVERDUE_S, Daemon
from appliance.intake.folders import Box
from appliance.intake.inbox import Held
from appliance.intake.journal import Journal, Number
from appliance.status.snapshot import Refused
from appliance.types import Report

from .rig import Rig, ScriptedRedactor, by_content, clean, report

MakeRig = Callable[..., Rig]


def test_a_picture_goes_all_the_way(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("Mustermann_Max/IMG_1.JPG", b"jpeg one")
    rig.go()
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg one")}
    assert rig.files("done") == {"E000001/0001-IMG_1.JPG": b"jpeg one"}
    assert rig.files("inbox") == rig.files("work") == rig.files("quarantine") == {}
    seen = rig.look()
    assert (seen.state, seen.waiting, seen.working, seen.done_today, seen.done_ever) == ("Ready", 0, 0, 1, 1)
    assert seen.images_per_minute == 1
    assert seen.engine == rig.redactor.info
    assert seen.free_bytes > 0


def test_results_tell_nothing_by_time_or_rights(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a/x.jpg")
    rig.go()
    result = rig.config.folders.out / "E000001/0001.jpg"
    for path in (result, result.parent):
        assert path.stat().st_mtime_ns == folders_module.NEUTRAL_NS
    assert result.stat().st_mode & 0o777 == 0o644
    assert (rig.config.folders.done / "E000001/0001-x.jpg").stat().st_mode & 0o777 == 0o600
    modes = {name: getattr(rig.config.folders, name).stat().st_mode & 0o777 for name in folders_module.MODES}
    assert modes == folders_module.MODES
    assert (rig.config.folders.done / "E000001").stat().st_mode & 0o777 == 0o700


def test_neither_journal_nor_snapshot_nor_log_knows_a_name(make_rig: MakeRig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rig = make_rig()
    rig.start()
    for name, content in (("good.jpg", b"jpeg"), ("bad.jpg", b"damaged"), ("lost.jpg", b"lost"), ("bug.jpg", b"bug")):
        rig.drop(f"Mustermann/{name}", content)
    (rig.inbox / "Mustermann-link").symlink_to("/etc/passwd")
    rig.go(200)
    rig.close()
    state = rig.config.folders.state
    said = caplog.text.encode() + b"".join(path.read_bytes() for path in state.iterdir() if path.is_file())
    for secret in (b"Mustermann", b"good.jpg", b"bad.jpg"):
        assert secret not in said
    assert b"E000001/0003 published in" in said


def test_pictures_are_numbered_in_the_folders_order(make_rig: MakeRig) -> None:
    rig = make_rig(ScriptedRedactor(lanes=1))
    rig.start()
    for name in ("b/IMG_10.jpg", "b/IMG_9.jpg", "a/2.png", "a/1.png", "top.tif"):
        rig.drop(name, f"{'png' if 'png' in name else 'tiff' if 'tif' in name else 'jpeg'} {name}".encode())
    rig.go(30)
    assert rig.files("out") == {
        "E000001/0001.tif": clean(b"tiff top.tif"),
        "E000002/0001.png": clean(b"png a/1.png"),
        "E000002/0002.png": clean(b"png a/2.png"),
        "E000003/0001.jpg": clean(b"jpeg b/IMG_9.jpg"),
        "E000003/0002.jpg": clean(b"jpeg b/IMG_10.jpg"),
    }


@pytest.mark.parametrize(
    ("name", "content", "ending"),
    [("a.JPEG", b"jpeg", "jpeg"), ("a.png", b"jpeg", "jpg"), ("a.dib", b"bmp", "dib"), ("a", b"tiff", "tif"), ("a.Name", b"png", "png")],
)
def test_the_ending_is_the_inputs_own_only_when_it_fits(make_rig: MakeRig, name: str, content: bytes, ending: str) -> None:
    rig = make_rig()
    rig.start()
    rig.drop(name, content)
    rig.go()
    assert list(rig.files("out")) == [f"E000001/0001.{ending}"]


def test_a_growing_file_is_not_taken(make_rig: MakeRig) -> None:
    rig = make_rig(sweep_s=1.0)
    rig.start()
    path = rig.drop("a.jpg", b"jpeg")
    for _ in range(5):
        rig.go(1)
        with open(path, "ab") as file:
            file.write(b" more")
    assert (rig.look().waiting, rig.files("work"), rig.files("out")) == (1, {}, {})
    rig.go(6)
    assert list(rig.files("out").values()) == [clean(path_content := b"jpeg" + b" more" * 5)]
    assert list(rig.files("done").values()) == [path_content]


def test_a_file_held_open_by_a_writer_is_not_taken(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    with open(rig.drop("a.jpg"), "ab"):
        rig.go(30)
        assert rig.files("out") == {}
    rig.go(10)
    assert list(rig.files("out")) == ["E000001/0001.jpg"]


def test_a_refused_file_goes_to_quarantine_with_its_reason(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a/report.pdf", b"unsupported")
    rig.drop("a/reason.json", b"unsupported too")
    rig.go()
    assert rig.files("out") == rig.files("work") == rig.files("inbox") == {}
    kept = rig.files("quarantine")
    assert kept.pop("E000001/0001/_reason.json") == b"unsupported too"
    assert kept["E000001/0002/report.pdf"] == b"unsupported"
    reason = rig.reason("E000001/0002")
    assert {key: reason[key] for key in ("number", "code", "reason")} == {
        "number": "E000001/0002",
        "code": "unsupported",
        "reason": "a test says that this is unsupported",
    }
    folder = rig.config.folders.quarantine / "E000001/0002"
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "report.pdf", folder / "reason.json")] == [0o700, 0o600, 0o600]
    assert rig.look().refused_ever == 2
    assert Refused(**reason) in rig.look().refused


def test_a_cut_off_file_is_tried_until_its_time_is_over(make_rig: MakeRig) -> None:
    rig = make_rig(incomplete_s=60.0)
    rig.start()
    rig.drop("a.jpg", b"incomplete")
    rig.drop("b.jpg", b"jpeg")
    rig.go(50)
    tries = len(rig.redactor.calls)
    assert 5 <= tries <= 10
    assert (rig.look().working, rig.look().done_ever, rig.look().refused_ever) == (1, 1, 0)
    rig.go(20)
    assert rig.reason("E000001/0001")["code"] == "incomplete"
    assert rig.files("work") == {}


def test_a_file_that_grows_in_work_is_tried_again(make_rig: MakeRig) -> None:
    rig = make_rig(incomplete_s=20.0)
    rig.start()
    rig.drop("a.jpg", b"incomplete")
    rig.go(15)
    (original,) = (rig.config.folders.state / "work").rglob("*.jpg")
    original.write_bytes(b"incomplete but more")
    rig.go(15)
    original.write_bytes(b"jpeg whole")
    rig.go(20)
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg whole")}


def test_a_file_changed_while_it_was_read_is_read_again(make_rig: MakeRig) -> None:
    rig = make_rig()

    def change_once(content: bytes, alone: bool) -> Report:
        if len(rig.redactor.calls) == 1:
            (original,) = (rig.config.folders.state / "work").rglob("*.jpg")
            original.write_bytes(b"jpeg second")
        return report()

    rig.redactor.behave = change_once
    rig.start()
    rig.drop("a.jpg", b"jpeg first")
    rig.go(20)
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg second")}


def test_many_cut_off_files_do_not_hold_up_the_others(make_rig: MakeRig) -> None:
    rig = make_rig(ScriptedRedactor(lanes=1))
    rig.start()
    for index in range(20):
        rig.drop(f"a/{index}.jpg", b"incomplete")
    rig.drop("b/good.jpg", b"jpeg")
    rig.go(45, step=0.1)
    assert list(rig.files("out")) == ["E000002/0001.jpg"]


def test_a_picture_that_loses_the_engine_runs_alone_then_is_refused(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg", b"lost")
    rig.drop("b.jpg", b"jpeg")
    rig.go(30)
    assert [alone for content, alone in rig.redactor.calls if content == b"lost"] == [False, True, True]
    assert rig.reason("E000001/0001")["code"] == "crash"
    assert list(rig.files("out")) == ["E000001/0002.jpg"]


def test_an_unexpected_error_is_tried_again_and_never_published(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg", b"bug")
    rig.go(30)
    assert (rig.files("out"), rig.reason("E000001/0001")["code"]) == ({}, "crash")


def test_a_dead_engine_does_not_pour_the_drop_folder_into_quarantine(make_rig: MakeRig) -> None:
    def dead(content: bytes, alone: bool) -> Report:
        raise DeviceLost("cuCtxSynchronize", "error 719")

    rig = make_rig(ScriptedRedactor(dead, lanes=1))
    rig.start()
    for index in range(50):
        rig.drop(f"{index:02d}.jpg", f"jpeg {index}".encode())
    rig.go(120)
    assert rig.look().state == "Needs attention"
    assert "cuCtxSynchronize" in rig.look().detail
    assert rig.look().refused_ever <= 4
    rig.redactor.behave = by_content
    rig.go(200)
    assert rig.look().state == "Ready"
    assert rig.look().done_ever + rig.look().refused_ever == 50


def test_without_a_redactor_everything_waits_and_nothing_is_refused(make_rig: MakeRig) -> None:
    def down(content: bytes, alone: bool) -> Report:
        raise RedactorDown("the redactor was started 5 times in 60 s")

    rig = make_rig(ScriptedRedactor(down, lanes=1))
    rig.start()
    for index in range(5):
        rig.drop(f"{index}.jpg", f"jpeg {index}".encode())
    rig.go(600)
    assert (rig.look().state, rig.look().refused_ever, rig.look().done_ever) == ("Needs attention", 0, 0)
    assert "5 times" in rig.look().detail
    rig.redactor.behave = by_content
    rig.go(200)
    assert (rig.look().state, rig.look().done_ever) == ("Ready", 5)


def test_nothing_new_is_taken_without_space(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig(min_free_mib=512)
    rig.start()
    rig.drop("a.jpg")
    free = 100 << 20
    monkeypatch.setattr(Box, "free_bytes", lambda box: free)
    rig.go()
    assert (rig.look().state, rig.look().waiting, rig.look().free_bytes) == ("Waiting for space", 1, free)
    assert list(rig.files("inbox")) == ["a.jpg"]
    free = 600 << 20
    rig.go()
    assert (rig.look().state, rig.look().done_ever) == ("Ready", 1)


@pytest.mark.parametrize(("code", "state"), [(errno.ENOSPC, "Waiting for space"), (errno.EIO, "Needs attention")])
def test_a_disk_that_fails_sends_no_picture_to_quarantine(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, code: int, state: str
) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise OSError(code, os.strerror(code), "/secret/path")

        patch.setattr(Box, "place", fail)
        rig.go(20)
        assert (rig.look().state, rig.look().working) == (state, 1)
        assert rig.files("out") == rig.files("quarantine") == {}
    rig.go(70)
    assert (rig.look().state, list(rig.files("out"))) == ("Ready", ["E000001/0001.jpg"])


def test_a_journal_that_fails_after_placing_redacts_only_once(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("appliance.intake.journal.Journal.published", full)
        rig.go(20)
        assert rig.look().state == "Waiting for space"
    rig.go(70)
    assert (len(rig.redactor.calls), rig.look().done_ever, rig.files("work")) == (1, 1, {})


def test_an_error_after_publishing_never_refuses_what_is_out(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(Box, "keep", lambda box, number: 1 // 0)
        rig.go(60)
        assert (rig.look().state, rig.look().done_ever, rig.files("quarantine")) == ("Needs attention", 1, {})
    rig.go(70)
    assert (rig.look().state, rig.files("work"), list(rig.files("done"))) == ("Ready", {}, ["E000001/0001-a.jpg"])


def test_a_drop_folder_that_vanishes_is_waited_for(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg", b"jpeg a")
    rig.go()
    rig.drop("b.jpg", b"jpeg b")
    rig.inbox.rename(rig.home / "away")
    rig.go()
    assert rig.look().state == "Needs attention"
    assert "folders.inbox" in rig.look().detail
    (rig.home / "away").rename(rig.inbox)
    rig.go()
    assert (rig.look().state, rig.look().done_ever, len(rig.files("out"))) == ("Ready", 2, 2)


def test_a_disk_taken_from_under_a_folder_stops_the_work(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(Box, "_devices", lambda box: [0, 0, 0, 0])
        rig.go()
        assert (rig.look().state, rig.files("out")) == ("Needs attention", {})
    rig.go()
    assert (rig.look().state, len(rig.files("out"))) == ("Ready", 1)


def test_what_stays_in_the_drop_folder_is_counted(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.start()
    (rig.inbox / "link.jpg").symlink_to("/etc/passwd")
    (rig.inbox / "x.jpg").mkdir()
    rig.drop("locked.jpg")
    really_open = os.open

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if path == "locked.jpg":
            raise PermissionError(13, "no", path)
        return really_open(path, flags, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        rig.go(30)
        assert [reason.split(":")[0] for reason in rig.look().left] == ["symbolic link", "no read permission"]
        assert (rig.look().waiting, rig.look().state) == (0, "Ready")
    rig.go(70)
    assert (list(rig.look().left), rig.look().done_ever) == (["symbolic link: not followed"], 1)


def test_a_folder_that_may_not_be_written_keeps_its_files(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")
    with monkeypatch.context() as patch:

        def sticky(box: Box, held: Held, *_: object) -> None:
            raise PermissionError(errno.EPERM, "sticky folder of another user")

        patch.setattr(Box, "take", sticky)
        rig.go()
        assert [reason.split(":")[0] for reason in rig.look().left] == ["cannot be taken away"]
        assert rig.rows("SELECT * FROM picture") == []
    rig.go(70)
    assert list(rig.files("out")) == ["E000001/0001.jpg"]


def test_a_file_that_cannot_be_taken_is_tried_once_a_minute_or_when_it_changed(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a.jpg")
    claims: list[float] = []
    claim = Journal.claim

    def count(journal: Journal, *arguments: Any) -> Number:
        claims.append(rig.now)
        return claim(journal, *arguments)

    def busy(box: Box, held: Held, *_: object) -> None:
        raise OSError(errno.EBUSY, "in use")

    monkeypatch.setattr(Journal, "claim", count)
    with monkeypatch.context() as patch:
        patch.setattr(Box, "take", busy)
        rig.go(100)
        assert len(claims) == 2
        assert claims[1] - claims[0] >= LEFT_S
        assert (rig.look().waiting, sum(rig.look().left.values()), rig.look().state) == (0, 1, "Ready")
    rig.drop("a.jpg", b"jpeg, changed")
    rig.go(15)
    assert len(claims) == 3
    assert list(rig.files("out").values()) == [clean(b"jpeg, changed")]


def test_what_a_person_should_know_of_a_result_is_logged_by_number(make_rig: MakeRig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    notes = ("ICC profile dropped, colours are now taken for sRGB", "turned upright")
    rig = make_rig(ScriptedRedactor(lambda content, alone: replace(report(), notes=notes)))
    rig.start()
    rig.drop("a.jpg")
    rig.go()
    said = [record.getMessage() for record in caplog.records]
    assert said.count(f"E000001/0001: {notes[0]}") == said.count(f"E000001/0001: {notes[1]}") == 1


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
            monkeypatch.setattr("appliance.intake.daemon.boot_id", lambda: "another boot")
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
    monkeypatch.setattr("appliance.intake.daemon.boot_id", lambda: "another boot")
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
    monkeypatch.setattr("appliance.intake.daemon.notify", lambda *lines: said.extend(lines))
    monkeypatch.setattr("appliance.intake.daemon.watchdog_s", lambda: 15.0)
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
        assert "ZeroDivisionError at test_daemon.py" in rig.look().detail
    rig.go(20)
    assert "WATCHDOG=1" in said


def test_a_job_that_hangs_silences_the_watchdog(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("appliance.intake.daemon.notify", lambda *lines: said.extend(lines))
    monkeypatch.setattr("appliance.intake.daemon.watchdog_s", lambda: 15.0)
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

        patch.setattr("appliance.intake.journal.Journal.published", full)
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
