"""The daemon when something fails: the engine, a disk, the drop folder, a file that cannot be taken."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from appliance.daemon.journal import Journal, Number
from appliance.daemon.sources.drop_folder import LEFT_S
from appliance.daemon.sources.tree import Held
from appliance.daemon.store import Box
from appliance.errors import DeviceLost, RedactorDown
from appliance.types import Report

from .rig import Rig, ScriptedRedactor, by_content, clean

MakeRig = Callable[..., Rig]


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
        patch.setattr("appliance.daemon.journal.Journal.published", full)
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
